"""The array way: orders, slices, checks at the door."""

import numpy as np
import pytest
import torch

from easyconv.data.sources.arrays import ArraySource
from easyconv.data.sources.make import make_source
from easyconv.data.sources.rules import InputRule, TargetRule
from easyconv.errors import DataError, EasyconvWarning, LabelError, LengthError, StateError

X, Y = torch.arange(20.0).reshape(10, 2), torch.arange(10) % 3


def rows(source, key=None):
    return [batch.x[:, 0].tolist() for batch in source.batches(key)]


def test_in_order_the_batches_are_cut_in_order_and_the_last_is_shorter():
    source = make_source(X, Y, batch_size=4)
    source.bind(targets=TargetRule("classes", (3,)))
    batches = list(source.batches())
    assert (source.rows, source.steps, source.batch_size, source.one_shot) == (10, 3, 4, False)
    assert [len(batch.x) for batch in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([batch.x for batch in batches]), X)
    assert torch.equal(torch.cat([batch.y for batch in batches]), Y)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_a_net_that_writes_into_its_input_does_not_change_the_data(mode):
    x = X.clone()
    source = make_source(x, batch_size=4)
    source.example().x.zero_()
    source.bind()
    for _ in range(2):
        with mode():
            for batch, rows_wanted in zip(source.batches(), X.split(4), strict=True):
                assert torch.equal(batch.x, rows_wanted)
                batch.x.view(-1).sub_(1)
    assert torch.equal(x, X)


def test_a_net_that_writes_only_at_times_does_not_change_the_data():
    x = X.clone()
    source = make_source(x, batch_size=4)
    source.bind()
    for index, batch in enumerate(source.batches()):
        if index:
            batch.x.zero_()
    assert torch.equal(x, X)


def test_shuffling_is_one_randperm_of_the_global_generator():
    source = make_source(X, Y, batch_size=3, shuffle=True)
    source.bind(targets=TargetRule("classes", (3,)))
    torch.manual_seed(5)
    order = torch.randperm(10)
    after = torch.rand(1)
    torch.manual_seed(5)
    batches = list(source.batches())
    assert torch.equal(torch.cat([batch.x for batch in batches]), X[order])
    assert torch.equal(torch.cat([batch.y for batch in batches]), Y[order])
    assert torch.equal(torch.rand(1), after)


def test_keyed_passes_repeat_and_draw_nothing():
    source = make_source(X, batch_size=3, shuffle=True)
    source.bind()
    state = torch.get_rng_state()
    assert rows(source, 7) == rows(source, 7) != rows(source, 8)
    assert sorted(value for batch in rows(source, 9) for value in batch) == X[:, 0].tolist()
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_and_class_weights_travel_with_their_rows():
    weight = torch.arange(10.0)
    source = make_source(X, Y, sample_weight=weight, batch_size=4, shuffle=True)
    source.weigh_classes(torch.tensor([1.0, 2.0, 3.0]))
    source.bind(targets=TargetRule("classes", (3,)))
    for batch in source.batches(1):
        assert torch.equal(batch.sample_weight, batch.x[:, 0] / 2 * (batch.y + 1))


def test_uint8_becomes_floats_batch_by_batch():
    x = torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8)
    source = make_source(x, batch_size=2, shuffle=True)
    source.bind(InputRule("image", 1))
    got = torch.cat([batch.x for batch in source.batches(3)])
    order = torch.randperm(5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(got, x[order].float() / 255)


def test_trees_keep_their_form():
    source = make_source((X, {"a": X.numpy()}), {"k": Y}, batch_size=4, shuffle=True)
    source.bind(targets={"k": TargetRule("classes", (3,))})
    for batch in source.batches(0):
        assert torch.equal(batch.x[0], batch.x[1]["a"])
        assert torch.equal(batch.y["k"], (batch.x[0][:, 0] / 2).long() % 3)


def test_example_is_raw_and_consumes_nothing():
    source = make_source(np.ones((5, 2)), [3, 1, 2, 0, 0])
    example = source.example()
    assert example.x.shape == (2, 2)
    assert example.x.dtype == torch.float64
    assert example.y.tolist() == [3, 1]


def test_predicting_drops_targets():
    source = make_source(X, Y)
    source.bind(targets=None)
    assert next(source.batches()).y is None


def test_lengths():
    with pytest.raises(LengthError, match="x has 10 rows and y has 9"):
        make_source(X, Y[:9])
    with pytest.raises(LengthError, match="sample_weight must have one number for each of the 10 samples, got 3"):
        make_source(X, Y, sample_weight=[1.0, 1, 1])
    with pytest.raises(LengthError, match=r"x\[0\] has 10 rows and x\[1\] has 4"):
        make_source((X, X[:4]), Y)


def test_everything_is_checked_when_bound():
    source = make_source(X, Y)
    with pytest.raises(StateError, match=r"call bind\(\) before batches"):
        source.batches()
    with pytest.raises(LabelError, match="got 2 in row 2"):
        source.bind(targets=TargetRule("classes", (2,)))
    with pytest.raises(DataError, match="y is missing"):
        make_source(X).bind(targets=TargetRule("classes", (2,)))
    optional = make_source(X)
    optional.bind(targets=TargetRule(required=False))
    assert next(optional.batches()).y is None


def test_sorted_labels_without_shuffling_warn():
    y = torch.tensor([0] * 5 + [1] * 5)
    rule = TargetRule("classes", (2,))
    with pytest.warns(EasyconvWarning, match="sorted by class and the data is not shuffled"):
        make_source(X, y, batch_size=4).bind(targets=rule, training=True)
    with pytest.warns(EasyconvWarning, match="All 10 training labels are 1"):
        make_source(X, torch.ones(10), shuffle=True).bind(targets=TargetRule("binary", (1,)), training=True)


@pytest.mark.filterwarnings("error")
def test_no_warning_where_order_does_no_harm():
    y = torch.tensor([0] * 5 + [1] * 5)
    rule = TargetRule("classes", (2,))
    make_source(X, y, batch_size=4, shuffle=True).bind(targets=rule, training=True)
    make_source(X, y, batch_size=4).bind(targets=rule)
    make_source(X, y, batch_size=32).bind(targets=rule, training=True)
    make_source(X, y.flip(0) + torch.arange(10) % 2, batch_size=4).bind(
        targets=TargetRule("classes", (3,)), training=True
    )
    make_source(X, torch.arange(10), batch_size=4).bind(targets=TargetRule("values", (1,)), training=True)


def test_a_loop_by_hand_sees_the_same_bits():
    torch.manual_seed(0)
    source = ArraySource(X, Y, batch_size=4, shuffle=True)
    source.bind(targets=TargetRule("classes", (3,)))
    torch.manual_seed(1)
    ours = [batch.x for _ in range(3) for batch in source.batches()]
    torch.manual_seed(1)
    hand = [X[index] for _ in range(3) for index in torch.randperm(10).split(4)]
    assert all(torch.equal(a, b) for a, b in zip(ours, hand, strict=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("share", [0.25, 0.0])
@pytest.mark.parametrize("shuffle", [True, False])
def test_on_a_gpu(monkeypatch, share, shuffle):
    monkeypatch.setattr("easyconv.data.sources.arrays._SHARE_OF_DEVICE", share)
    x = torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8)
    source = make_source(x, torch.arange(50), batch_size=8, shuffle=shuffle)
    source.bind(InputRule("image", 1), TargetRule("classes", (50,)), "cuda:0")
    batches = list(source.batches(3))
    assert all(batch.x.is_cuda and batch.y.is_cuda for batch in batches)
    order = torch.cat([batch.y for batch in batches]).cpu()
    assert torch.equal(torch.cat([batch.x for batch in batches]).cpu(), x[order].float() / 255)
    if shuffle:
        assert torch.equal(order, torch.randperm(50, generator=torch.Generator().manual_seed(3)))
