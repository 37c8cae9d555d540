"""Inputs made right for the net, or refused."""

import numpy as np
import pytest
import torch

from easyconv.data.sources.inputs import check_inputs, finish_inputs, to_inputs
from easyconv.data.sources.rules import InputRule
from easyconv.errors import DataError, DataTypeError, NonFiniteDataError

IMAGE1, IMAGE3, IMAGE = InputRule("image", 1), InputRule("image", 3), InputRule("image")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "?"])
def test_floats_and_bools_become_float32(dtype):
    array = np.array([[0, 1]], dtype=dtype)
    got = check_inputs(to_inputs(array))
    assert got.dtype == torch.float32
    assert got.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_float_tensors_become_float32(dtype):
    assert check_inputs(to_inputs(torch.ones(2, 3, dtype=dtype))).dtype == torch.float32


def test_a_double_net_gets_doubles_that_were_never_rounded():
    rule = InputRule(dtype=torch.float64)
    x = torch.full((2, 1), 1 / 3, dtype=torch.float64)
    assert torch.equal(finish_inputs(check_inputs(to_inputs(x), rule), rule), x)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.int64])
def test_integers_stay_where_the_net_makes_of_them_what_it_needs(dtype):
    rule = InputRule(integers=True)
    x = torch.ones(2, 3, 4, dtype=dtype)
    assert finish_inputs(check_inputs(to_inputs(x), rule), rule).dtype == dtype


def test_float32_is_not_copied_on_the_whole_way():
    array = np.ones((4, 1, 5, 5), "float32")
    got = finish_inputs(check_inputs(to_inputs(array), IMAGE1), IMAGE1)
    assert got.data_ptr() == array.ctypes.data


def test_uint8_images_are_scaled_and_tables_are_not():
    pictures = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    checked = check_inputs(pictures, IMAGE1)
    assert checked.dtype == torch.uint8
    assert torch.equal(finish_inputs(checked, IMAGE1), pictures.float() / 255)
    table = torch.tensor([[0, 255]], dtype=torch.uint8)
    assert finish_inputs(check_inputs(table)).tolist() == [[0.0, 255.0]]


def test_integer_tables_become_floats_and_tokens_stay_integers():
    table = torch.tensor([[3, -7]])
    assert check_inputs(table).dtype == torch.float32
    for dtype in (torch.uint8, torch.int16, torch.float32):
        tokens = finish_inputs(
            check_inputs(torch.tensor([[3, 7]], dtype=dtype), InputRule("tokens")), InputRule("tokens")
        )
        assert tokens.dtype == torch.int64
        assert tokens.tolist() == [[3, 7]]


@pytest.mark.parametrize(
    ("rule", "shape", "wanted"),
    [
        (IMAGE1, (2, 8, 8), (2, 1, 8, 8)),
        (IMAGE, (2, 8, 8), (2, 1, 8, 8)),
        (IMAGE1, (2, 1, 8, 8), (2, 1, 8, 8)),
        (IMAGE1, (1, 9, 4), (1, 1, 9, 4)),
        (InputRule("sequence"), (2, 8), (2, 1, 8)),
        (InputRule("sequence", 1), (2, 8), (2, 1, 8)),
        (InputRule("volume", 1), (2, 4, 5, 6), (2, 1, 4, 5, 6)),
        (InputRule("any"), (2, 8, 8, 3), (2, 8, 8, 3)),
        (IMAGE, (2, 64, 7, 3), (2, 64, 7, 3)),
        (InputRule("image", 28), (2, 28, 28, 3), (2, 28, 28, 3)),
    ],
)
def test_shapes_made_right(rule, shape, wanted):
    assert check_inputs(torch.zeros(shape), rule).shape == wanted


@pytest.mark.parametrize(
    ("rule", "shape", "text"),
    [
        (IMAGE3, (2, 8, 8, 3), r"channels last.*x.transpose\(0, 3, 1, 2\).*x.permute\(0, 3, 1, 2\)"),
        (IMAGE1, (2, 28, 28, 1), "channels last"),
        (IMAGE3, (2, 28, 28, 1), "channels last"),
        (IMAGE, (2, 28, 28, 3), "channels last"),
        (InputRule("image", 5), (2, 8, 8, 5), "channels last"),
        (InputRule("sequence", 6), (2, 9, 6), r"x.transpose\(0, 2, 1\)"),
        (InputRule("volume", 1), (2, 9, 9, 9, 1), r"x.transpose\(0, 4, 1, 2, 3\)"),
        (IMAGE1, (2, 3, 8, 8), r"with C = 1, got shape \(2, 3, 8, 8\) with 3 channels. Average"),
        (IMAGE3, (2, 1, 8, 8), "with 1 channel. Repeat"),
        (IMAGE3, (2, 5, 8, 8), "Build the net for 5 channels"),
        (IMAGE3, (3, 8, 8), r"without the batch axis; a batch of one is x\[None\]"),
        (IMAGE3, (8, 8, 3), r"channels last and without the batch axis.*x.transpose\(2, 0, 1\)\[None\]"),
        (IMAGE, (28, 28, 3), r"x.permute\(2, 0, 1\)\[None\]"),
        (IMAGE3, (5, 8, 8), "The axis of the 3 channels is missing"),
        (IMAGE1, (8, 8), r"x\[None, None\]"),
        (InputRule("volume"), (8, 8), r"x.reshape\(-1, 1, D, H, W\)"),
        (IMAGE1, (8,), r"images of shape \(N, C, H, W\) with C = 1, got shape \(8,\)"),
    ],
)
def test_shapes_refused(rule, shape, text):
    with pytest.raises(DataError, match=text):
        check_inputs(torch.zeros(shape), rule)


def test_the_hints_do_what_they_say():
    array = np.zeros((2, 8, 9, 3), "float32")
    assert check_inputs(to_inputs(array.transpose(0, 3, 1, 2)), IMAGE3).shape == (2, 3, 8, 9)
    assert check_inputs(to_inputs(torch.zeros(8, 9, 3).permute(2, 0, 1)[None]), IMAGE3).shape == (1, 3, 8, 9)
    assert check_inputs(to_inputs(np.zeros((2, 1, 8, 8)).repeat(3, 1)), IMAGE3).shape == (2, 3, 8, 8)
    assert check_inputs(torch.zeros(2, 1, 8, 8).repeat_interleave(3, 1), IMAGE3).shape == (2, 3, 8, 8)
    assert check_inputs(torch.zeros(2, 3, 8, 8).mean(1, keepdims=True), IMAGE1).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int64"])
def test_wide_integer_images_are_refused_unless_they_are_masks(dtype):
    array = np.zeros((2, 1, 4, 4), dtype)
    assert check_inputs(to_inputs(array), IMAGE1).dtype == torch.float32
    array[1] = 200
    with pytest.raises(DataTypeError, match=r'values from 0 to 200.*astype\("uint8"\) is scaled.*astype\("float32"\)'):
        check_inputs(to_inputs(array), IMAGE1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("rule", [InputRule(), IMAGE1])
def test_non_finite_values_are_counted_and_placed(bad, rule):
    x = torch.zeros(50, 1, 3, 3)
    x[7, 0, 1, 1] = bad
    x[9, 0, 0, 0] = bad
    with pytest.raises(
        NonFiniteDataError,
        match=r"x must hold finite numbers, got 2 that are NaN or infinite.* in row 7\. The rows are 7 and 9\. Remove",
    ):
        check_inputs(x, rule)
    assert check_inputs(x, rule, values=False) is not None


def test_non_finite_beyond_the_first_chunk():
    x = torch.zeros(5000, 1000)
    x[4321, 5] = float("nan")
    with pytest.raises(NonFiniteDataError, match=r"got 1 that is NaN.* row 4321\. Remove those rows"):
        check_inputs(x)
    x[::700] = float("inf")
    with pytest.raises(NonFiniteDataError, match=r"The rows are 0, 700, 1400, 2100, 2800 and 4 more\."):
        check_inputs(x)


def test_a_float64_beyond_float32_is_refused():
    with pytest.raises(NonFiniteDataError, match="as float32"):
        check_inputs(to_inputs(np.array([[1e300]])))


def test_tokens_refused():
    rule = InputRule("tokens")
    with pytest.raises(DataTypeError, match=r"must hold integers, since the first layer is an embedding.* row 1"):
        check_inputs(torch.tensor([[1.0], [0.5]]), rule)
    with pytest.raises(DataError, match=r"from 0 on.* got -2, the first in row 1"):
        check_inputs(torch.tensor([[1], [-2]]), rule)


def test_trees_of_inputs():
    x = to_inputs({"a": np.zeros((2, 3)), "b": (np.zeros((2, 8, 8)), [1, 2])})
    rules = {"a": InputRule(), "b": (IMAGE1, InputRule("tokens"))}
    got = check_inputs(x, rules)
    assert got["b"][0].shape == (2, 1, 8, 8)
    assert got["b"][1].dtype == torch.int64
    with pytest.raises(NonFiniteDataError, match=r"x\['a'\] must hold finite"):
        check_inputs({"a": torch.tensor([[float("nan")]]), "b": x["b"]}, rules)
    with pytest.raises(DataError, match="x must be a tuple of 2 arrays, got one array of shape"):
        check_inputs(torch.zeros(2, 3), (InputRule(), InputRule()))
    with pytest.raises(DataError, match=r"x must be a dict with the keys \['a'\], got a tuple of 2"):
        check_inputs((torch.zeros(2), torch.zeros(2)), {"a": InputRule()})


def test_a_tuple_of_numbers_is_one_input():
    assert to_inputs((1.0, 2.0)).tolist() == [1.0, 2.0]


def test_channels_last_memory():
    x = finish_inputs(torch.zeros(2, 3, 4, 4), IMAGE3, channels_last=True)
    assert x.is_contiguous(memory_format=torch.channels_last)
