"""``fit`` gives, bit for bit, what a plain torch loop gives."""

import pytest
import torch
from plain_torch import BATCH, CLASSES, data, loader, ours, same_state, shuffled, train_plainly, twin
from torch import Tensor, nn
from torch.nn import functional

import easyconv as ec

OPTIMIZERS = {
    "sgd": (ec.optim.SGD(lr=0.05), lambda p: torch.optim.SGD(p, lr=0.05)),
    "nesterov": (
        ec.optim.SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    ),
    "adam": ("adam", torch.optim.Adam),
    "adamw": (torch.optim.AdamW, torch.optim.AdamW),
    "rmsprop": (ec.optim.RMSprop(momentum=0.5), lambda p: torch.optim.RMSprop(p, momentum=0.5)),
}
SOURCES = {
    "arrays": (lambda *t: {"x": t[0], "y": t[1]}, lambda *t: lambda: shuffled(*t)),
    "loader": (lambda *t: {"x": loader(*t)}, lambda *t: lambda: loader(*t)),
}


def compiled(model: ec.Model, optimizer: object = "adam", **options: object) -> ec.Model:
    model.compile(optimizer, metrics=["accuracy"], channels_last=False, **options)
    return model


def fitted(model: ec.Model, epochs: int = 2, **arguments: object) -> tuple[dict[str, list[float]], Tensor]:
    """The history without the rates, and the random state that is left; every run starts from the same seed."""
    torch.manual_seed(11)
    history = model.fit(**arguments, batch_size=BATCH, epochs=epochs, verbose=0).history
    history.pop("learning_rate")
    return history, torch.get_rng_state()


def plainly(net: nn.Module, *arguments: object, **options: object) -> tuple[dict[str, list[float]], Tensor]:
    torch.manual_seed(11)
    history = train_plainly(net, *arguments, **options)
    return history, torch.get_rng_state()


def assert_same(
    model: ec.Model, net: nn.Module, got: tuple[dict[str, list[float]], Tensor], expected: tuple[object, Tensor]
) -> None:
    assert got[0] == expected[0]
    assert torch.equal(got[1], expected[1])
    assert same_state(model, net)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_bit_identical_to_a_plain_loop(optimizer: str, source: str) -> None:
    # Batch norm, dropout from the global random state, and a last batch of 2 rows in place of 8.
    mine, theirs = OPTIMIZERS[optimizer]
    arguments, batches = SOURCES[source]
    model = compiled(ours(), mine)
    net = twin(model)
    got = fitted(model, epochs=3, **arguments(*data()))
    expected = plainly(net, batches(*data()), theirs(net.parameters()), epochs=3)
    assert_same(model, net, got, expected)


def test_unshuffled_arrays_draw_nothing() -> None:
    x, y = data()
    model = compiled(ours(dropout=0.0))
    net = twin(model, dropout=0.0)
    got = fitted(model, x=x, y=y, shuffle=False)
    expected = plainly(net, lambda: loader(x, y, shuffle=False), torch.optim.Adam(net.parameters()))
    assert got[0] == expected[0]
    assert same_state(model, net)
    torch.manual_seed(11)
    assert torch.equal(got[1], torch.get_rng_state())


def test_a_wrapped_torch_net() -> None:
    net = twin(ours())
    wrapped = twin(ours())
    model = compiled(ec.Model(wrapped))
    got = fitted(model, x=loader(*data()))
    expected = plainly(net, lambda: loader(*data()), torch.optim.Adam(net.parameters()))
    assert_same(wrapped, net, got, expected)


@pytest.mark.parametrize("source", SOURCES)
def test_class_weights(source: str) -> None:
    table = torch.tensor([0.5, 2.0, 1.25])
    arguments, batches = SOURCES[source]

    def loss_of(output: Tensor, y: Tensor) -> Tensor:
        return (functional.cross_entropy(output, y, reduction="none") * table[y]).mean()  # Σ w·l / N

    model = compiled(ours())
    net = twin(model)
    got = fitted(model, class_weight=dict(enumerate(table.tolist())), **arguments(*data()))
    expected = plainly(net, batches(*data()), torch.optim.Adam(net.parameters()), loss_of)
    assert_same(model, net, got, expected)


def weighted_mean(output: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    return (functional.cross_entropy(output, y, reduction="none") * weight).mean()


def test_sample_weights_of_arrays() -> None:
    x, y = data()
    weight = torch.rand(len(x), generator=torch.Generator().manual_seed(5))
    model = compiled(ours())
    net = twin(model)
    got = fitted(model, x=x, y=y, sample_weight=weight)
    expected = plainly(net, lambda: shuffled(x, y, weight), torch.optim.Adam(net.parameters()), weighted_mean)
    assert_same(model, net, got, expected)


def test_sample_weights_of_a_loader() -> None:
    x, y = data()
    weight = torch.rand(len(x), generator=torch.Generator().manual_seed(5))
    model = compiled(ours())
    net = twin(model)
    got = fitted(model, x=loader(x, y, weight))
    expected = plainly(net, lambda: loader(x, y, weight), torch.optim.Adam(net.parameters()), weighted_mean)
    assert_same(model, net, got, expected)


def test_sample_weights_multiply_class_weights() -> None:
    x, y = data()
    weight = torch.rand(len(x), generator=torch.Generator().manual_seed(5))
    table = torch.tensor([0.5, 2.0, 1.25])
    model, other = compiled(ours()), compiled(ours())
    got = fitted(model, x=x, y=y, sample_weight=weight, class_weight=table.tolist())
    expected = fitted(other, x=x, y=y, sample_weight=weight * table[y])
    assert_same(model, other, got, expected)


@pytest.mark.parametrize("every", [2, 3, 7, 10])
def test_accumulation_weighs_samples(every: int) -> None:
    # Seven batches: groups of two leave one over, which is shorter and holds the batch of 2 rows.
    def train(net: nn.Module) -> tuple[list[float], Tensor]:
        torch.manual_seed(11)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for _ in range(2):
            batches = list(shuffled(*data()))
            total = 0.0
            for start in range(0, len(batches), every):
                group = batches[start : start + every]
                optimizer.zero_grad()
                for x, y in group:
                    loss = functional.cross_entropy(net(x), y)
                    (loss * len(x)).backward()
                    total += loss.item() * len(x)
                for parameter in net.parameters():
                    parameter.grad /= sum(len(x) for x, _ in group)
                optimizer.step()
            losses.append(total / 50)
        return losses, torch.get_rng_state()

    x, y = data()
    model = compiled(ours(), ec.optim.SGD(lr=0.1, momentum=0.9), accumulate=every)
    net = twin(model).train()
    (history, state), (losses, expected_state) = fitted(model, x=x, y=y), train(net)
    assert history["loss"] == losses
    assert torch.equal(state, expected_state)
    assert same_state(model, net)


def test_accumulation_over_one_batch_norm_free_epoch_equals_one_big_batch() -> None:
    x, y = data()
    one, other = (ec.Model(nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))) for _ in range(2))
    other.load_state_dict(one.state_dict())
    one.compile("sgd", lr=0.1, accumulate=7)
    other.compile("sgd", lr=0.1)
    one.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    other.fit(x, y, batch_size=50, shuffle=False, verbose=0)
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("kind", ["clip_norm", "clip_value", "both"])
def test_clipping(kind: str) -> None:
    norm, value = (0.05 if kind != "clip_value" else None), (0.01 if kind != "clip_norm" else None)

    class Clipped(torch.optim.SGD):
        def step(self, closure: None = None) -> None:
            parameters = self.param_groups[0]["params"]
            if norm is not None:
                assert nn.utils.clip_grad_norm_(parameters, norm) > norm  # it does something
            if value is not None:
                nn.utils.clip_grad_value_(parameters, value)
            super().step()

    x, y = data()
    model = compiled(ours(), ec.optim.SGD(lr=0.1), clip_norm=norm, clip_value=value)
    net = twin(model)
    got = fitted(model, x=x, y=y)
    expected = plainly(net, lambda: shuffled(x, y), Clipped(net.parameters(), lr=0.1))
    assert_same(model, net, got, expected)


def test_a_loss_with_parameters_of_its_own() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.5))

        def forward(self, output: Tensor, y: Tensor) -> Tensor:
            return functional.cross_entropy(output * self.scale, y)

    x, y = data()
    mine, theirs = Scaled(), Scaled()
    model = ours()
    net = twin(model)
    model.compile("sgd", mine, lr=0.05, channels_last=False)
    history, _ = fitted(model, x=x, y=y)
    optimizer = torch.optim.SGD([*net.parameters(), *theirs.parameters()], lr=0.05)
    expected, _ = plainly(net, lambda: shuffled(x, y), optimizer, theirs)
    assert history["loss"] == expected["loss"]
    assert torch.equal(mine.scale, theirs.scale)
    assert same_state(model, net)


@pytest.mark.parametrize("source", SOURCES)
def test_validation_and_its_random_state(source: str) -> None:
    """A validation after every epoch, by a loader that shuffles, leaves the training what a plain loop gives it."""
    arguments, batches = SOURCES[source]
    x, y = data(21, seed=8)
    model = compiled(ours())
    net = twin(model)
    torch.manual_seed(11)
    history = model.fit(
        **arguments(*data()), batch_size=BATCH, epochs=3, validation_data=loader(x, y), verbose=0
    ).history
    state = torch.get_rng_state()

    torch.manual_seed(11)
    optimizer = torch.optim.Adam(net.parameters())
    expected: dict[str, list[float]] = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    for _ in range(3):
        for name, value in train_plainly(net, batches(*data()), optimizer, epochs=1).items():
            expected[name] += value
        net.eval()
        total, right = 0.0, 0
        with torch.no_grad():
            for images, labels in loader(x, y):
                output = net(images)
                total += functional.cross_entropy(output, labels).item() * len(images)
                right += int((output.argmax(1) == labels).sum())
        expected["val_loss"].append(total / 21)
        expected["val_accuracy"].append(right / 21)
    history.pop("learning_rate")
    assert history == expected
    assert torch.equal(state, torch.get_rng_state())
    assert same_state(model, net)


def test_a_shared_generator_of_two_loaders() -> None:
    """The usual recipe for reproducible runs: one generator, given to the loaders of training and of validation."""

    def loaders() -> tuple[object, object]:
        generator = torch.Generator().manual_seed(4)
        return loader(*data(), generator=generator), loader(*data(21, seed=8), generator=generator)

    model = compiled(ours())
    net = twin(model)
    training, checking = loaders()
    got, state = fitted(model, x=training, validation_data=checking)
    training, checking = loaders()
    torch.manual_seed(11)
    optimizer = torch.optim.Adam(net.parameters())
    losses = []
    for _ in range(2):
        losses += train_plainly(net, lambda: training, optimizer, epochs=1)["loss"]
        list(checking)
    assert got["loss"] == losses
    assert torch.equal(state, torch.get_rng_state())
    assert same_state(model, net)


def test_evaluate_weighs_samples() -> None:
    x, y = data()
    model = compiled(ours())
    net = twin(model).eval()
    total, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, 50, BATCH):
            output = net(x[start : start + BATCH])
            total += functional.cross_entropy(output, y[start : start + BATCH]).item() * len(output)
            right += int((output.argmax(1) == y[start : start + BATCH]).sum())
    assert model.evaluate(x, y, batch_size=BATCH, verbose=0) == [total / 50, right / 50]
