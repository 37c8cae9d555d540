"""One array from whatever a user has: tensors, NumPy and pandas, lists of numbers, arrays or pictures."""

import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from easyconv.data.sources.values import describe
from easyconv.errors import DataError, DataTypeError, EmptyDataError

__all__ = ["is_number", "is_picture", "to_tensor"]

_WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64}
_PATH = re.compile(r"[/\\]|\.[A-Za-z][A-Za-z0-9]{1,4}$")
_PROMOTED = {("u", 2): np.int32, ("u", 4): np.int64, ("u", 8): np.int64, ("f", 2): np.float32, ("f", 16): np.float64}


def to_tensor(value: Any, name: str = "x") -> Tensor:
    """A tensor with one row per sample; memory is shared where the layout allows it.

    Parameters
    ----------
    value : tensor, array, pandas object or list
        A list holds rows: numbers, arrays of one shape, or pictures (which become (C, H, W)).
    name : str, default "x"
        What the user calls it, for messages.

    Returns
    -------
    Tensor
        Detached and dense. Unsigned integers wider than 8 bits become signed ones; other dtypes stay.

    Raises
    ------
    DataTypeError
        For what is no array of real numbers: text, objects, dates, complex numbers, sparse or masked arrays.
    DataError
        For a single number, or rows of different shapes.
    EmptyDataError
        When there are no rows.

    Examples
    --------
    >>> to_tensor([[1, 2], [3, 4]]).shape
    torch.Size([2, 2])
    """
    tensor = _from_tensor(value, name) if isinstance(value, Tensor) else _from_other(value, name)
    if tensor.dim() == 0:
        raise DataError(
            f"{name} must have one row per sample, got the single number {tensor.item()!r}. Pass a list: [{name}]."
        )
    if tensor.shape[0] == 0:
        raise EmptyDataError(f"{name} has no rows: its shape is {tuple(tensor.shape)}. Pass at least one sample.")
    if tensor.numel() == 0:
        raise EmptyDataError(
            f"{name} holds no values: its shape is {tuple(tensor.shape)}, with an axis of size 0. Look how it was cut."
        )
    return tensor


def is_number(value: Any) -> bool:
    """Whether ``value`` is one number: of Python, or a NumPy scalar.

    Examples
    --------
    >>> is_number(3), is_number("3")
    (True, False)
    """
    return isinstance(value, (bool, int, float, np.number, np.bool_))


def is_picture(value: Any) -> bool:
    """Whether ``value`` is a PIL image.

    Examples
    --------
    >>> is_picture(3)
    False
    """
    return hasattr(value, "getbands") and hasattr(value, "convert")


def _from_tensor(value: Tensor, name: str) -> Tensor:
    if value.is_nested or value.layout != torch.strided:
        raise DataTypeError(f"{name} must be a dense tensor, got a sparse or nested one. Pass {name}.to_dense().")
    if value.is_complex():
        raise _complex(name, value)
    if value.device.type == "meta":
        raise DataTypeError(
            f"{name} must have values, got a tensor on the 'meta' device, which has a shape only. Make it on the CPU."
        )
    if value.is_quantized:
        raise DataTypeError(f"{name} must hold plain numbers, got {value.dtype}. Pass {name}.dequantize().")
    value = value.detach() if value.requires_grad else value
    return value.to(_WIDER[value.dtype]) if value.dtype in _WIDER else value


def _from_other(value: Any, name: str) -> Tensor:
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise DataTypeError(
                f"{name} has {int(np.ma.getmaskarray(value).sum())} masked values, which have no number. "
                f"Fill them first: {name}.filled(0)."
            )
        return _from_array(value.data, name)
    if isinstance(value, np.ndarray):
        return _from_array(value, name)
    if isinstance(value, (list, tuple, range)):
        return _from_rows(value, name)
    _refuse_type(value, name)
    if hasattr(value, "to_numpy"):
        return _from_array(np.asarray(value.to_numpy()), name)
    return _from_array(np.asarray(value), name)


def _refuse_type(value: Any, name: str) -> None:
    if value is None:
        raise DataTypeError(f"{name} must be an array, a tensor or a list of numbers, got None.")
    if isinstance(value, (str, bytes, os.PathLike)):
        raise DataTypeError(
            f"{name} must be data, got {value!r}. Read the file first (numpy.load, PIL.Image.open), or make a "
            "Dataset of the folder: torchvision.datasets.ImageFolder."
        )
    if isinstance(value, (set, frozenset)):
        raise DataTypeError(f"{name} must have an order, got a set. Pass a list: sorted({name}).")
    if hasattr(value, "toarray"):
        raise DataTypeError(
            f"{name} must be a dense array, got a sparse one ({type(value).__name__}). Pass {name}.toarray()."
        )
    if not any(hasattr(value, way) for way in ("to_numpy", "__array__", "__array_interface__")) and not is_number(
        value
    ):
        raise DataTypeError(
            f"{name} must be a tensor, an array or a list of numbers, got {describe(value)}. "
            "Convert it to one of these first."
        )


def _from_array(array: Any, name: str) -> Tensor:
    kind = array.dtype.kind
    if kind == "O":
        return _from_objects(array, name)
    if kind not in "biuf":
        raise _bad_kind(array, name)
    promoted = _PROMOTED.get((kind, array.dtype.itemsize))
    if promoted is None and kind == "f" and array.dtype.itemsize > 8:
        promoted = np.float64
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise DataTypeError(f"{name} holds {int(array.max())}, which is beyond 64-bit integers. Pass floats.")
    if promoted is not None or not array.dtype.isnative:
        array = array.astype(promoted or array.dtype.newbyteorder("="))
    if any(step < 0 or step % array.itemsize for step in array.strides) or not array.flags.aligned:
        array = array.copy()
    with warnings.catch_warnings():
        # Batches are read, never written, so that read-only memory (a memory map) need not be copied.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def _from_objects(array: Any, name: str) -> Tensor:
    if array.size == 0 or array.ndim == 0:
        raise DataTypeError(f"{name} must be an array of numbers, got {describe(array)}.")
    if isinstance(array.flat[0], (np.ndarray, Tensor, list)):
        return _from_rows(list(array), name)
    for value in array.flat:
        if not is_number(value):
            raise _bad_value(value, name)
    return _from_array(np.asarray(array.tolist()), name)


def _from_rows(rows: Sequence[Any], name: str) -> Tensor:
    if not rows:
        raise EmptyDataError(f"{name} has no rows: it is an empty {type(rows).__name__}. Pass at least one sample.")
    first = rows[0]
    if isinstance(first, Tensor):
        return _stack_tensors(rows, name)
    if is_number(first) or (isinstance(first, (list, tuple)) and not _holds_arrays(first)):
        return _from_array(_numbers(rows, name), name)
    if first is None or isinstance(first, (str, bytes, os.PathLike)):
        raise _bad_value(first, name)
    if isinstance(first, dict):
        keys = ", ".join(map(repr, first))
        raise DataTypeError(
            f"{name} must hold numbers, got a list of dicts with the keys {keys}. Pass one dict of arrays, "
            f"{{key: array}}, for a net with several inputs."
        )
    arrays = [_row(value, f"{name}[{index}]") for index, value in enumerate(rows)]
    _check_shapes([array.shape for array in arrays], name)
    return _from_array(np.stack(arrays), name)


def _holds_arrays(row: Any) -> bool:
    while isinstance(row, (list, tuple)) and row:
        row = row[0]
    return isinstance(row, (Tensor, np.ndarray)) or is_picture(row)


def _numbers(rows: Sequence[Any], name: str) -> Any:
    try:
        array = np.asarray(rows)
    except (ValueError, TypeError) as error:
        _check_shapes([_outer_shape(row) for row in rows], name)
        raise DataError(
            f"{name} must have rows of one shape, got nested lists of different lengths within a row. Resize or pad "
            "them to one length."
        ) from error
    if array.dtype.kind in "US" and not all(isinstance(row, str) for row in rows):
        raise _bad_value(next((row for row in rows if isinstance(row, str)), rows[0]), name)
    return array


def _outer_shape(row: Any) -> tuple[int, ...]:
    """The lengths of nested lists, as far as all lists of one depth agree."""
    if not isinstance(row, (list, tuple)):
        return tuple(np.shape(row))
    inner = {_outer_shape(part) for part in row}
    return (len(row), *(inner.pop() if len(inner) == 1 else ()))


def _stack_tensors(rows: Sequence[Any], name: str) -> Tensor:
    tensors = [_from_tensor(row if isinstance(row, Tensor) else torch.as_tensor(row), name) for row in rows]
    _check_shapes([tuple(tensor.shape) for tensor in tensors], name)
    return torch.stack(tensors)


def _row(value: Any, name: str) -> Any:
    if is_picture(value):
        return _picture(value)
    return to_tensor(value, name).numpy() if not is_number(value) else np.asarray(value)


def _picture(image: Any) -> Any:
    # A palette image holds indices of colours: as numbers they mean nothing.
    array = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _check_shapes(shapes: list[tuple[int, ...]], name: str) -> None:
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise DataError(
                f"{name} must have rows of one shape, got {shapes[0]} in row 0 and {shape} in row {index}. Resize or "
                "pad them; arrays that belong side by side, as (x, y) or as several inputs, go into a tuple, "
                "not a list."
            )


def _bad_kind(array: Any, name: str) -> DataTypeError:
    if array.dtype.kind == "c":
        return _complex(name, array)
    if array.dtype.kind in "US":
        return _bad_value(str(array.flat[0]) if array.size else "", name)
    if array.dtype.kind in "Mm":
        return DataTypeError(
            f"{name} must hold numbers, got dates or durations ({array.dtype}). Make numbers of them first: "
            f"{name}.astype('int64')."
        )
    fields = " For a table with named columns take numpy.lib.recfunctions.structured_to_unstructured."
    return DataTypeError(
        f"{name} must be an array of numbers, got {describe(array)}.{fields if array.dtype.names else ''}"
    )


def _bad_value(value: Any, name: str) -> DataTypeError:
    if isinstance(value, os.PathLike) or (isinstance(value, str) and _PATH.search(value)):
        return DataTypeError(
            f"{name} must hold numbers, got paths such as {str(value)[-40:]!r}. Read the files first (PIL.Image.open, "
            "numpy.load), or make a Dataset of the folder: torchvision.datasets.ImageFolder."
        )
    if isinstance(value, str) and _is_numeral(value):
        return DataTypeError(
            f"{name} must hold numbers, got text such as {value[:40]!r}. Convert it: "
            f"numpy.asarray({name}).astype(float)."
        )
    if isinstance(value, str):
        return DataTypeError(
            f"{name} must hold numbers, got text such as {value[:40]!r}. For class names take "
            f"names, labels = numpy.unique({name}, return_inverse=True)."
        )
    if value is None:
        return DataTypeError(f"{name} must hold numbers, got None in it. Remove or fill the missing values.")
    return DataTypeError(f"{name} must hold numbers, got {describe(value)} in it.")


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _complex(name: str, value: Any) -> DataTypeError:
    return DataTypeError(
        f"{name} must hold real numbers, got {describe(value)}. Pass abs({name}), or real and imaginary "
        "parts as channels."
    )
