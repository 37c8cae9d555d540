"""Batch norms are folded where, and only where, that changes nothing."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec
from easyconv.inference.folding import fold_batch_norms


def stirred(net: nn.Module) -> nn.Module:
    """Norms as after training: statistics and weights of all kinds."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias)
    return net.eval()


def folded(net: nn.Module, x: Tensor) -> int:
    """How many norms are folded; the answers must stay what they were."""
    stirred(net)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        expected = net(x)
    count = fold_batch_norms(twin, x)
    with torch.no_grad():
        given = twin(x)
    assert torch.allclose(given, expected, rtol=0.0, atol=2e-6 * float(expected.abs().max()))
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    left = [m for m in twin.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert len(norms) - len(left) == count
    return count


def test_by_hand() -> None:
    convolution, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        convolution.weight.fill_(3.0)
        convolution.bias.fill_(1.0)
        norm.running_mean.fill_(5.0)
        norm.running_var.fill_(4.0)
        norm.weight.fill_(2.0)
        norm.bias.fill_(-1.0)
    net = nn.Sequential(convolution, norm)
    assert fold_batch_norms(net, torch.zeros(1, 1, 1, 1)) == 1
    # 2 (3x + 1 - 5) / 2 - 1 = 3x - 5
    assert (net[0].weight.item(), net[0].bias.item()) == (3.0, -5.0)
    assert type(net[1]) is nn.Identity


@pytest.mark.parametrize(
    ("net", "shape", "count"),
    [
        (ec.zoo.resnet20(num_classes=4), (3, 32, 32), 19),
        (ec.zoo.mobilenet_v2(num_classes=4, small=True), (3, 32, 32), 52),
        (ec.Model(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2, affine=False))), (1, 8, 8), 1),
    ],
    ids=["resnet20", "mobilenet", "wrapped"],
)
def test_whole_nets(net: nn.Module, shape: tuple[int, ...], count: int) -> None:
    assert folded(net, torch.rand(2, *shape)) == count


def test_other_dimensions() -> None:
    assert folded(nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)), torch.rand(2, 2, 8)) == 1
    assert folded(nn.Sequential(nn.Conv3d(2, 3, 3), nn.BatchNorm3d(3)), torch.rand(2, 2, 4, 4, 4)) == 1


class Net(nn.Module):
    """A convolution and a norm; subclasses do something in between."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)


class AlsoUsedElsewhere(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) + y


class ChangedBetween(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


class ChangedInPlace(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y.mul_(2)
        return self.norm(y)


class ReadAsNumber(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.norm(y) * float(y[0, 0, 0, 0])


class NormTwice(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.norm(self.conv(x)))


class ConvolutionTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.conv(x)))


class GivenToo(Net):
    def forward(self, x: Tensor) -> Tensor:
        self.last = y = self.conv(x)
        self.norm(y)
        return y


class Shaped(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if y.shape[0] > 1 and y.dim() == 4 and len(y) == y.size(0):
            return self.norm(y)
        return y


class Functional(Net):
    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(self.conv(x), self.norm.running_mean, self.norm.running_var)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (AlsoUsedElsewhere, 0),
        (ChangedBetween, 0),
        (ChangedInPlace, 0),
        (ReadAsNumber, 0),
        (NormTwice, 0),
        (ConvolutionTwice, 0),
        (GivenToo, 0),
        (Functional, 0),
        (Shaped, 1),
    ],
)
def test_where_the_output_goes_decides(kind: type[nn.Module], count: int) -> None:
    assert folded(kind(), torch.rand(2, 1, 6, 6)) == count


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_shared_layers_and_norms_without_statistics_stay() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    assert folded(nn.Sequential(conv, nn.BatchNorm2d(1), conv, nn.BatchNorm2d(1)), torch.rand(2, 1, 6, 6)) == 0
    bare = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False))
    assert folded(bare, torch.rand(2, 1, 6, 6)) == 0
    scripted = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), torch.jit.script(nn.ReLU()))
    assert fold_batch_norms(stirred(scripted), torch.rand(2, 1, 6, 6)) == 0
