"""GoogLeNet: nine Inception blocks in a row, and two small classifiers that help to train them."""

from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from easyconv.arguments import check_flag
from easyconv.layers import Dense, InceptionV1, LocalResponseNorm, MaxPool2D
from easyconv.layers.blocks.basic_conv import basic_conv
from easyconv.layers.initializers import InitLike
from easyconv.zoo.checks import check_net, choose_version, net_words
from easyconv.zoo.heads import HeadedNet
from easyconv.zoo.initial import choose_init
from easyconv.zoo.pretrained import check_weights, load_imagenet

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet"]

Layers = list[tuple[str, nn.Module]]


class GoogLeNetOutputs(NamedTuple):
    """What `GoogLeNet` gives in training: raw outputs of the net and of its two heads, the upper one first."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor

    @property
    def aux_weight(self) -> float:
        """How much the losses of the heads count; section 5 of the paper."""
        return 0.3


class GoogLeNet(HeadedNet):
    """What `googlenet` makes: a stack of layers with heads after ``inception4a`` and ``inception4d``."""

    heads = ("aux1", "aux2")

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Raw outputs; in training with those of the heads, where there are any."""
        logits, answers = self._run(x)
        return GoogLeNetOutputs(logits, answers["aux2"], answers["aux1"]) if answers else logits


@net_words
def googlenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    *,
    small: bool = False,
    version: str | None = None,
    aux: bool = True,
    init: InitLike = "he",
    weights: str | None = None,
) -> GoogLeNet:
    """GoogLeNet (Szegedy et al., 2015), for images of 224x224.

    ================= ================================================ ============ ============ ============
    layer             what it does                                     output       published    torchvision
    ================= ================================================ ============ ============ ============
    conv1             64 of 7x7, stride 2                              64@112x112   9,472        9,536
    maxpool1          maximum of 3x3, stride 2; norm                   64@56x56
    conv2             64 of 1x1                                        64@56x56     4,160        4,224
    conv3             192 of 3x3; norm                                 192@56x56    110,784      110,976
    maxpool2          maximum of 3x3, stride 2                         192@28x28
    inception3a, b    two `InceptionV1`                                480@28x28    552,432      496,096
    maxpool3          maximum of 3x3, stride 2                         480@14x14
    inception4a to e  five `InceptionV1`                               832@14x14    2,809,168    2,653,088
    maxpool4          maximum of 3x3 (torchvision: 2x2), stride 2      832@7x7
    inception5a, b    two `InceptionV1`                                1024@7x7     2,487,536    2,325,984
    avgpool, dropout  mean of each map                                 1024
    fc                dense                                            1000         1,025,000    1,025,000
    together                                                                        6,998,552    6,624,904
    aux1, aux2        heads after 4a and 4d, in training only          1000         6,379,728    6,379,984
    ================= ================================================ ============ ============ ============

    A ReLU follows every convolution. In training the net returns `GoogLeNetOutputs`: ``logits``, ``aux_logits2`` and
    ``aux_logits1``. ``fit`` adds the losses of the heads times 0.3, as the paper does.

    Parameters
    ----------
    num_classes : int, default 1000
        Number of classes.
    in_channels : int, default 3
        Channels of the images.
    small : bool, default False
        For images of 28x28 and 32x32: conv1 is 3x3 with stride 1, and maxpool1 and maxpool2 are left out, so that
        blocks 4a to 4e see a grid of 14x14 or 16x16, as in the paper. The heads stay as they are.
    version : {"published", "batch_norm", "torchvision"}, optional
        The published net by default, or torchvision's where its weights are asked for. ``"published"`` has biases and
        local response norms. ``"batch_norm"`` has a batch norm in every convolution instead (7,005,832 parameters
        without heads). ``"torchvision"`` differs from that in the window of the 5x5 convolutions, which is 3x3 (an old
        mistake that its trained weights keep alive), in the window of maxpool4, in the pooling of the heads, and in
        20 % dropout before ``fc`` in place of 40 %.
    aux : bool, default True
        Whether to have the two heads. Without them the net returns ``logits`` in training too.
    init : str or callable, default "he"
        Initial weights. The paper does not say how its own were drawn.
    weights : {"imagenet"}, optional
        Torchvision's trained weights, which go with ``version="torchvision"``. The heads are not trained in them.

    Returns
    -------
    GoogLeNet
        The net, built.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        When an argument makes no sense, or there are no trained weights for such a net.

    Notes
    -----
    The heads average windows of 5x5 with stride 3, and so ask for a grid of 14x14 to 16x16: in training, images are
    223x223 to 270x270 large. Torchvision's average to 4x4 whatever comes.

    The paper shows where local response norms are, and not their numbers. These are those of the Caffe model zoo's
    replica: 5 maps, alpha 1e-4 (of the mean), beta 0.75, k = 1. Some numbers of parameters in the paper's table 1 (2.7K
    for conv1) do not follow from its own sizes; those above do.

    References
    ----------
    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, table 1, figure 3 and section 5. Ioffe and Szegedy,
    "Batch Normalization", ICML 2015, for the norms of the later version.

    Examples
    --------
    >>> import torch
    >>> with torch.device("meta"):
    ...     net = googlenet(aux=False)
    >>> net.count_params()
    6998552
    """
    check_net(num_classes, in_channels)
    check_flag("small", small)
    check_flag("aux", aux)
    check_weights(weights, in_channels=in_channels, small=small)
    version = choose_version(version, ("published", "batch_norm", "torchvision"), weights)
    layers = _layers(num_classes, version=version, small=small)
    size = 32 if small else 224
    net = GoogLeNet(
        [(name, layer) for name, layer in layers if aux or name not in GoogLeNet.heads],
        input_shape=(in_channels, size, size),
        name="googlenet",
        init=choose_init(init, "he"),
    )
    return load_imagenet(net, "googlenet", head=("fc", "aux1.fc2", "aux2.fc2"), weights=weights)


def _layers(num_classes: int, *, version: str, small: bool) -> Layers:
    """Table 1 of the paper, from top to bottom, with the heads of figure 3."""
    torchvision, batch_norm = version == "torchvision", version != "published"
    inception = partial(InceptionV1, batch_norm=batch_norm, kernel_size=3 if torchvision else 5)
    head = partial(_head, num_classes, batch_norm=batch_norm, torchvision=torchvision)
    return [
        *_stem(batch_norm=batch_norm, small=small),
        #             #1x1 (reduce, #3x3) (reduce, #5x5) pool proj
        ("inception3a", inception(64, (96, 128), (16, 32), 32)),
        ("inception3b", inception(128, (128, 192), (32, 96), 64)),
        ("maxpool3", _max_pool()),
        ("inception4a", inception(192, (96, 208), (16, 48), 64)),
        ("aux1", head()),
        ("inception4b", inception(160, (112, 224), (24, 64), 64)),
        ("inception4c", inception(128, (128, 256), (24, 64), 64)),
        ("inception4d", inception(112, (144, 288), (32, 64), 64)),
        ("aux2", head()),
        ("inception4e", inception(256, (160, 320), (32, 128), 128)),
        ("maxpool4", _max_pool(2 if torchvision else 3)),
        ("inception5a", inception(256, (160, 320), (32, 128), 128)),
        ("inception5b", inception(384, (192, 384), (48, 128), 128)),
        ("avgpool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(0.2 if torchvision else 0.4)),
        ("fc", Dense(num_classes)),
    ]


def _stem(*, batch_norm: bool, small: bool) -> Layers:
    """All before the first block."""
    conv = partial(basic_conv, batch_norm=batch_norm)
    layers: Layers = [
        ("conv1", conv(64, 3) if small else conv(64, 7, stride=2)),
        ("maxpool1", _max_pool()),
        ("norm1", LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)),
        ("conv2", conv(64, 1)),
        ("conv3", conv(192, 3)),
        ("norm2", LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)),
        ("maxpool2", _max_pool()),
    ]
    left_out = ("maxpool1", "maxpool2") * small + ("norm1", "norm2") * batch_norm
    return [(name, layer) for name, layer in layers if name not in left_out]


def _max_pool(kernel_size: int = 3) -> nn.Module:
    # An incomplete last window counts: 112 becomes 56, and not 55.
    return MaxPool2D(kernel_size, stride=2, ceil_mode=True)


def _head(num_classes: int, *, batch_norm: bool, torchvision: bool) -> nn.Module:
    """An auxiliary classifier, as the list in section 5 of the paper has it."""
    layers: dict[str, nn.Module] = {
        "avgpool": nn.AdaptiveAvgPool2d(4) if torchvision else nn.AvgPool2d(5, stride=3),
        "conv": basic_conv(128, 1, batch_norm=batch_norm),
        "flatten": nn.Flatten(),
        "fc1": Dense(1024),
        "relu": nn.ReLU(),
        "dropout": nn.Dropout(0.7),
        "fc2": Dense(num_classes),
    }
    return nn.Sequential(OrderedDict(layers))
