"""Nets that see to their own input: what runs in plain torch runs in fit, evaluate and predict, to the same end."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import easyconv as ec


class Net(nn.Module):
    """A forward function with its layers."""

    def __init__(self, forward, **parts):
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self._forward(self, x)


class Named(nn.Module):
    """Inputs by name: tokens, and a mask that must stay boolean."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens, mask):
        assert mask.dtype == torch.bool
        return self.head(self.table(tokens).masked_fill(~mask[..., None], 0.0).mean(1))


class Turned(nn.Module):
    """Registers its layers in another order than it calls them."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(4, 3, 3)
        self.first = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        return self.last(self.first(x)).mean((2, 3))


def head(net, x):
    return net.head(x.flatten(2).mean(2))


ROWS = 6
DRAWN = torch.Generator().manual_seed(0)
TOKENS = torch.randint(0, 10, (ROWS, 5), generator=DRAWN)


def rows(*shape):
    return torch.randn(ROWS, *shape, generator=DRAWN)


FREE = {
    "flat rows": (
        lambda: Net(lambda n, x: head(n, n.conv(x.view(-1, 1, 8, 8))), conv=nn.Conv2d(1, 4, 3), head=nn.Linear(4, 3)),
        rows(64),
    ),
    "flat rows and sizes unknown": (
        lambda: Net(lambda n, x: head(n, n.conv(x.view(-1, 1, 8, 8))), conv=nn.LazyConv2d(4, 3), head=nn.Linear(4, 3)),
        rows(64),
    ),
    "unflatten": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 4), nn.Flatten(), nn.Linear(2, 3)),
        rows(16),
    ),
    "channels last": (
        lambda: Net(lambda n, x: head(n, n.conv(x.permute(0, 3, 1, 2))), conv=nn.Conv2d(3, 4, 3), head=nn.Linear(4, 3)),
        rows(8, 8, 3),
    ),
    "channels last and a square": (
        lambda: Net(lambda n, x: head(n, n.conv(x.transpose(1, 2))), conv=nn.Conv1d(5, 4, 3), head=nn.Linear(4, 3)),
        rows(5, 5),
    ),
    "time first": (
        lambda: Net(lambda n, x: head(n, n.conv(x.transpose(1, 2))), conv=nn.Conv1d(5, 4, 3), head=nn.Linear(4, 3)),
        rows(9, 5),
    ),
    "video": (
        lambda: Net(
            lambda n, x: n.head(n.conv(x.flatten(0, 1)).mean((2, 3)).unflatten(0, x.shape[:2]).mean(1)),
            conv=nn.Conv2d(3, 4, 3),
            head=nn.Linear(4, 3),
        ),
        rows(2, 3, 8, 8),
    ),
    "an axis of channels": (
        lambda: Net(lambda n, x: head(n, n.conv(x.unsqueeze(1))), conv=nn.Conv2d(1, 4, 3), head=nn.Linear(4, 3)),
        rows(8, 8),
    ),
    "an axis of channels and sizes unknown": (
        lambda: Net(lambda n, x: head(n, n.conv(x.unsqueeze(1))), conv=nn.LazyConv2d(4, 3), head=nn.Linear(4, 3)),
        rows(8, 8),
    ),
    "resized": (
        lambda: Net(
            lambda n, x: head(n, n.conv(functional.interpolate(x, 12))), conv=nn.Conv2d(3, 4, 3), head=nn.Linear(4, 3)
        ),
        rows(3, 8, 8),
    ),
    "one-hot": (
        lambda: Net(lambda n, x: n.head(functional.one_hot(x, 10).float().mean(1)), head=nn.Linear(10, 3)),
        TOKENS,
    ),
    "one-hot and a convolution": (
        lambda: Net(
            lambda n, x: head(n, n.conv(functional.one_hot(x, 10).float().transpose(1, 2))),
            conv=nn.Conv1d(10, 4, 3),
            head=nn.Linear(4, 3),
        ),
        TOKENS,
    ),
    "moved tokens": (
        lambda: Net(lambda n, x: n.head(n.table(x + 1).mean(1)), table=nn.Embedding(11, 4), head=nn.Linear(4, 3)),
        TOKENS - 1,
    ),
    "tokens of positions first": (
        lambda: Net(
            lambda n, x: n.head((n.places(torch.arange(5)) + n.table(x)).mean(1)),
            places=nn.Embedding(5, 4),
            table=nn.Embedding(10, 4),
            head=nn.Linear(4, 3),
        ),
        TOKENS,
    ),
    "a mask among several": (Named, {"tokens": TOKENS, "mask": TOKENS > 2}),
    "bits": (
        lambda: Net(lambda n, x: n.head(torch.where(x, 1.0, -1.0)), head=nn.Linear(5, 3)),
        TOKENS > 4,
    ),
    "another order of layers": (Turned, rows(1, 8, 8)),
}


@pytest.mark.parametrize("name", FREE)
def test_a_net_that_sees_to_its_own_input_is_not_refused(name):
    make, x = FREE[name]
    labels = torch.arange(ROWS) % 3
    torch.manual_seed(0)
    model = ec.Model(make())
    model.compile(optimizer="sgd", loss="cross_entropy")
    model.fit(x, labels, epochs=1, batch_size=ROWS, shuffle=False, verbose=0)
    assert model.evaluate(x, labels, verbose=0)
    # the oracle: the same net, called by plain torch
    plain = copy.deepcopy(model.net).eval()
    with torch.no_grad():
        expected = plain(**x) if isinstance(x, dict) else plain(x)
    assert torch.allclose(torch.as_tensor(model.predict(x, verbose=0)), expected)


def test_looking_does_not_write_into_the_data_and_leaves_no_hook():
    net = Net(lambda n, x: head(n, n.conv(x.add_(1).unsqueeze(1))), conv=nn.Conv2d(1, 4, 3), head=nn.Linear(4, 3))
    x = rows(8, 8)
    before = x.clone()
    ec.Model(net).predict(x, verbose=0)
    assert torch.equal(x, before)
    assert not net.conv._forward_pre_hooks


def test_what_the_first_layer_gets_as_it_is_still_has_to_fit():
    with pytest.raises(ec.errors.DataError, match="channels last"):
        ec.Model(Turned()).predict(rows(8, 8, 1), verbose=0)
    table = Net(lambda n, x: n.head(n.table(x).mean(1)), table=nn.Embedding(10, 4), head=nn.Linear(4, 3))
    late = TOKENS.clone()
    late[4, 0] = 10
    with pytest.raises(ec.errors.DataError, match=r"from 0 to 9.*got 10.*row 4"):
        ec.Model(table).predict(late, verbose=0)


class SizesThatChange(torch.utils.data.IterableDataset):
    """Batches of pictures with a label, or a row of numbers, for each pixel; every batch has another size."""

    def __init__(self, *sizes, label_size=None, numbers=False):
        self.sizes, self.label_size, self.numbers = sizes, label_size, numbers

    def __iter__(self):
        generator = torch.Generator().manual_seed(0)
        for size in self.sizes:
            side = self.label_size or size
            y = torch.randint(0, 5, (4, side, side), generator=generator)
            x = torch.rand(4, 3, size, size, generator=generator)
            yield x, functional.one_hot(y, 5).movedim(3, 1).float() if self.numbers else y


def net_of_maps(loss):
    torch.manual_seed(0)
    model = ec.Sequential(
        [ec.layers.Conv2D(8, 3, padding="same"), ec.layers.Activation("relu"), ec.layers.Conv2D(5, 1)]
    )
    model.build((3, 16, 16))
    model.compile("sgd", loss, lr=0.1, device="cpu", channels_last=False)
    return model


@pytest.mark.parametrize(("loss", "numbers"), [("cross_entropy", False), ("mse", True), ("bce", True)])
def test_batches_of_pictures_and_maps_may_differ_in_size(loss, numbers):
    model, data = net_of_maps(loss), SizesThatChange(16, 24, 9, numbers=numbers)
    plain = copy.deepcopy(list(model))
    optimizer = torch.optim.SGD(nn.Sequential(*plain).parameters(), lr=0.1)
    function = {"mse": nn.MSELoss(), "bce": nn.BCEWithLogitsLoss()}.get(loss, nn.CrossEntropyLoss())
    for x, y in data:
        optimizer.zero_grad()
        function(nn.Sequential(*plain)(x), y).backward()
        optimizer.step()
    model.fit(torch.utils.data.DataLoader(data, batch_size=None), epochs=1, verbose=0)
    for mine, theirs in zip(model.parameters(), nn.Sequential(*plain).parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert model.evaluate(torch.utils.data.DataLoader(data, batch_size=None), verbose=0) > 0


@pytest.mark.parametrize(("loss", "numbers"), [("cross_entropy", False), ("mse", True)])
def test_maps_of_another_size_than_the_output_are_still_refused(loss, numbers):
    first, later = (
        SizesThatChange(16, label_size=8, numbers=numbers),
        SizesThatChange(16, 24, label_size=16, numbers=numbers),
    )
    with pytest.raises(ec.errors.DataError, match=r"16, 16\).*8, 8\)"):
        net_of_maps(loss).fit(torch.utils.data.DataLoader(first, batch_size=None), verbose=0)
    with pytest.raises(ec.errors.EasyconvError, match=r"The loss .* \(4, 5, 24, 24\).*16, 16"):
        net_of_maps(loss).fit(torch.utils.data.DataLoader(later, batch_size=None), verbose=0)


class TwoMaps(nn.Module):
    """Classes and a depth for each pixel, as a tuple or by name."""

    def __init__(self, named):
        super().__init__()
        self.named, self.classes, self.depth = named, nn.Conv2d(3, 5, 1), nn.Conv2d(3, 1, 1)

    def forward(self, x):
        found = self.classes(x), self.depth(x)
        return dict(zip(("classes", "depth"), found, strict=True)) if self.named else found


@pytest.mark.parametrize("named", [False, True])
def test_maps_of_several_outputs_may_differ_in_size_too(named):
    def batches(*sizes):
        for size in sizes:
            maps = torch.randint(0, 5, (4, size, size)), torch.rand(4, 1, size, size)
            yield torch.rand(4, 3, size, size), dict(zip(("classes", "depth"), maps, strict=True)) if named else maps

    model = ec.Model(TwoMaps(named))
    losses = {"classes": "cross_entropy", "depth": "mse"}
    model.compile("sgd", losses if named else list(losses.values()), lr=0.1, device="cpu")
    model.fit(list(batches(8, 12, 6)), epochs=1, verbose=0)
    assert model.evaluate(list(batches(6, 10)), verbose=0, return_dict=True)["loss"] > 0
