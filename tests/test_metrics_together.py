"""Metrics whose batches wait for each other give what they give batch by batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import easyconv as ec
from easyconv.metrics import Accuracy
from easyconv.metrics import gathering as module
from easyconv.metrics.gathering import Gathering

COUNTING = {
    "accuracy": lambda: Accuracy(),
    "accuracy of seven": lambda: Accuracy(ignore_index=2),
    "top3": lambda: ec.metrics.TopKAccuracy(3),
    "precision": lambda: ec.metrics.Precision(),
    "recall": lambda: ec.metrics.Recall(ignore_index=0),
    "f1": lambda: ec.metrics.F1(),
    "balanced": lambda: ec.metrics.BalancedAccuracy(),
}


def test_every_metric_that_waits_is_tried_here():
    assert {type(make()) for make in COUNTING.values()} == set(module._COUNTING)


def batch(rows, seed, *, classes=5, shape=()):
    generator = torch.Generator().manual_seed(seed)
    output = torch.randn(rows, classes, *shape, generator=generator)
    return output, torch.randint(0, classes, (rows, *shape), generator=generator)


@pytest.mark.parametrize("name", COUNTING)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.sampled_from([(), (2, 3)]), st.booleans()), min_size=1, max_size=90),
    looks=st.sets(st.integers(0, 89), max_size=3),
)
def test_the_same_as_batch_by_batch(name, sizes, looks):
    together, apart = COUNTING[name](), COUNTING[name]()
    gathering = Gathering([together])
    for number, (rows, shape, low) in enumerate(sizes):
        # Mostly alike, as in a pass.
        output, target = batch(8 if rows > 2 else rows, number, shape=shape if rows == 1 else ())
        output = output.bfloat16() if low and rows == 2 else output
        gathering.update(output, target)
        apart.update(output, target)
        if number in looks:
            gathering.settle()
            assert torch.equal(together.compute(), apart.compute())
    gathering.settle()
    gathering.settle()
    assert torch.equal(together.compute(), apart.compute())


@pytest.mark.parametrize("dense", [False, True])
def test_yes_or_no_and_dense_targets(dense):
    together, apart = Accuracy(), Accuracy()
    gathering = Gathering([together])
    for number in range(70):
        output, target = batch(6, number, classes=4 if dense else 1)
        target = torch.nn.functional.one_hot(target, 4).float() if dense else (output > 0.3).float()
        gathering.update(output, target)
        apart.update(output, target)
    gathering.settle()
    assert torch.equal(together.compute(), apart.compute())


def counted(monkeypatch):
    rows = []
    own = Accuracy.update
    monkeypatch.setattr(Accuracy, "update", lambda self, *pair: (rows.append(len(pair[0])), own(self, *pair))[1])
    return rows


def test_batches_do_wait(monkeypatch):
    rows = counted(monkeypatch)
    gathering = Gathering([Accuracy()])
    for number in range(1 + 32 + 5):
        gathering.update(*batch(8, number))
    assert rows == [8, 32 * 8]
    gathering.update(*batch(3, 99))  # the last of a pass
    assert rows == [8, 32 * 8, 3]
    gathering.settle()
    assert rows == [8, 32 * 8, 3, 5 * 8]


def test_large_outputs_do_not_wait(monkeypatch):
    rows = counted(monkeypatch)
    gathering = Gathering([Accuracy()])
    for number in range(3):
        gathering.update(*batch(8, number, shape=(16, 16)))
    assert rows == [8, 8, 8]


def test_places_that_are_written_again():
    accuracy = Accuracy()
    gathering = Gathering([accuracy])
    output, target = torch.zeros(4, 2), torch.zeros(4, dtype=torch.long)
    for number in range(10):
        output.copy_(torch.tensor([1.0, 0.0]) if number < 7 else torch.tensor([0.0, 1.0]))
        target.fill_(int(number == 9))
        gathering.update(output, target)
    gathering.settle()
    assert accuracy.compute() == 0.8


def test_graphs_are_not_kept():
    gathering = Gathering([Accuracy()])
    for number in range(3):
        output, target = batch(4, number)
        gathering.update(output.requires_grad_() * 2, target)
    assert [pair[0].grad_fn for pair in gathering._waiting] == [None, None]


class Seen(Accuracy):
    def update(self, output, target):
        self.sizes = [*getattr(self, "sizes", []), len(output)]
        super().update(output, target)


def test_metrics_of_the_users_get_every_batch():
    derived, changed, sizes = Seen(), Accuracy(), []
    changed.update = lambda output, target: sizes.append(len(output))
    gathering = Gathering([derived, changed, Accuracy()])
    for number in range(5):
        gathering.update(*batch(4, number))
    assert derived.sizes == sizes == [4] * 5


def test_what_does_not_fit_is_refused_in_its_own_batch():
    gathering = Gathering([Accuracy()])
    for number in range(4):
        gathering.update(*batch(4, number))
    with pytest.raises(ec.errors.ArgumentError, match=r"\(4, 5\) with the target \(3,\)"):
        gathering.update(batch(4, 0)[0], torch.zeros(3, dtype=torch.long))


def test_a_training_is_measured_as_by_hand():
    torch.manual_seed(0)
    model = ec.Model(torch.nn.Linear(6, 4))
    model.compile(ec.optim.SGD(lr=1e-30), metrics=["accuracy", "f1"])
    x, y = torch.randn(333, 6), torch.arange(333) % 4
    row = model.fit(x, y, batch_size=4, verbose=0).history
    right = (model.predict_classes(x, verbose=0) == y.numpy()).mean()
    assert row["accuracy"] == [pytest.approx(right, abs=1e-12)]
    assert row["f1"][0] == pytest.approx(
        model.evaluate(x, y, batch_size=333, verbose=0, return_dict=True)["f1"], abs=1e-12
    )
