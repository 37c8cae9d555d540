"""What becomes a tensor, what is shared, what is refused."""

import pathlib
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from easyconv.data.sources.convert import to_tensor
from easyconv.errors import DataError, DataTypeError, EmptyDataError

image = pytest.importorskip("PIL.Image")

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "g", ">i4", ">f4", ">f8", "<u2"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_real_dtype_keeps_its_values(dtype):
    array = np.array([[0, 1], [1, 0]], dtype=dtype)
    assert to_tensor(array).tolist() == array.tolist()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["i2", "u2", "f4", "f8", "u1"]),
        hnp.array_shapes(min_dims=2, max_dims=3),
        elements=st.integers(0, 200),
    ),
    st.sampled_from(["flip", "transpose", "step", "fortran", "readonly"]),
)
def test_any_layout_keeps_its_values(array, layout):
    made = {
        "flip": lambda a: a[::-1],
        "transpose": lambda a: a.T,
        "step": lambda a: a[::2],
        "fortran": np.asfortranarray,
        "readonly": lambda a: a,
    }[layout](array)
    made.flags.writeable = False
    np.testing.assert_array_equal(to_tensor(made).numpy(), made)


@pytest.mark.filterwarnings("error")
def test_memory_is_shared_where_the_layout_allows():
    array = np.ones((3, 4), "float32")
    assert to_tensor(array).data_ptr() == array.ctypes.data
    array.flags.writeable = False
    assert to_tensor(array).data_ptr() == array.ctypes.data
    tensor = torch.ones(3, requires_grad=True)
    assert to_tensor(tensor).data_ptr() == tensor.data_ptr()
    assert not to_tensor(tensor).requires_grad


def test_structured_field_with_odd_strides():
    records = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i1"), ("b", "f4")])
    assert to_tensor(records["b"]).tolist() == [2.0, 4.0]


def test_lists_of_numbers_arrays_and_tensors():
    assert to_tensor([1, 2]).dtype == torch.int64
    assert to_tensor(range(3)).tolist() == [0, 1, 2]
    assert to_tensor([[1.0], [2.0]]).tolist() == [[1.0], [2.0]]
    assert to_tensor([np.zeros((2, 2)), np.ones((2, 2))]).shape == (2, 2, 2)
    assert to_tensor([torch.zeros(2), torch.ones(2)]).tolist() == [[0, 0], [1, 1]]
    objects = np.empty(2, dtype=object)
    objects[:] = [np.zeros(3), np.ones(3)]
    assert to_tensor(objects).shape == (2, 3)


def test_pictures_become_channels_first():
    colour = np.arange(24, dtype="uint8").reshape(2, 4, 3)
    got = to_tensor([image.fromarray(colour)])
    np.testing.assert_array_equal(got.numpy()[0], colour.transpose(2, 0, 1))
    assert to_tensor([image.new("L", (4, 2), 7)]).shape == (1, 1, 2, 4)
    assert to_tensor([image.new("RGB", (4, 2), (255, 0, 51)).convert("P")])[0, :, 0, 0].tolist() == [255, 0, 51]


def test_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    assert to_tensor(frame).tolist() == [[1.0, 0.5], [2.0, 1.5]]
    assert to_tensor(frame["a"]).tolist() == [1, 2]
    assert to_tensor(pd.Series([1, 2], dtype="Int64")).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (None, DataTypeError, "got None"),
        ("cat.png", DataTypeError, "got 'cat.png'. Read the file first"),
        (pathlib.PurePosixPath("a/b"), DataTypeError, "Read the file first"),
        ({1, 2}, DataTypeError, "must have an order, got a set"),
        (object(), DataTypeError, "tensor, an array or a list of numbers"),
        (np.array([1 + 2j]), DataTypeError, "must hold real numbers, got complex128"),
        (torch.ones(2, dtype=torch.complex64), DataTypeError, "must hold real numbers, got complex64"),
        (np.array(["a", "b"]), DataTypeError, "return_inverse=True"),
        (np.array(["a", "b"], dtype=object), DataTypeError, "got text such as 'a'"),
        (["a", "b"], DataTypeError, "return_inverse=True"),
        ([1, "b"], DataTypeError, "got text such as 'b'"),
        ([None, 1], DataTypeError, "got None in it"),
        (np.array([1, None], dtype=object), DataTypeError, "got None in it"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), DataTypeError, "got dates or durations"),
        (np.zeros(2, dtype=[("a", "i4")]), DataTypeError, "array of numbers"),
        (np.ma.masked_array([1.0, 2.0], mask=[0, 1]), DataTypeError, r"1 masked values.*filled\(0\)"),
        (torch.eye(2).to_sparse(), DataTypeError, r"Pass x.to_dense\(\)"),
        (np.array([2**64 - 1], dtype="u8"), DataTypeError, "beyond 64-bit"),
        (np.array(3.0), DataError, "got the single number 3.0"),
        (torch.tensor(3), DataError, "one row per sample"),
        (5, DataError, "one row per sample"),
        (np.zeros((0, 3)), EmptyDataError, r"no rows: its shape is \(0, 3\)"),
        ([], EmptyDataError, "empty list"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], DataError, r"\(2, 3\) in row 0 and \(2, 4\) in row 1"),
        ([torch.zeros(2), torch.zeros(3)], DataError, r"\(2,\) in row 0 and \(3,\) in row 1"),
        ([[1, 2], [3]], DataError, r"\(2,\) in row 0 and \(1,\) in row 1"),
    ],
)
def test_refusals(value, error, text):
    with pytest.raises(error, match=text):
        to_tensor(value)


def test_scipy_like_sparse_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DataTypeError, match=re.escape("x.toarray()")):
        to_tensor(sparse.eye(3))


def test_unmasked_masked_array_is_data():
    assert to_tensor(np.ma.masked_array([1.0, 2.0])).tolist() == [1.0, 2.0]
