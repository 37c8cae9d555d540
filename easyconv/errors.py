"""Every error and warning that easyconv raises.

The tree (each error also inherits the builtin in brackets, so plain ``except`` clauses work)::

    EasyconvError
    ├── ArgumentError          [ValueError]      an argument has a value that makes no sense
    │   ├── ResumeError                          a run that cannot go on from what its folder holds
    │   ├── UnknownNameError                     a name that is not in the list; the nearest are suggested
    │   └── DataError                            data that cannot be made right
    │       ├── BrokenPictureError               a file that is no picture, or cannot be read
    │       ├── EmptyDataError                   no rows, or a source that yields no batch
    │       ├── LengthError                      inputs, targets or weights of different lengths
    │       ├── NonFiniteDataError               NaN or infinity in the data
    │       ├── SampleError                      a sample that its data set cannot read
    │       └── LabelError                       labels that do not fit the loss or the net
    ├── ArgumentTypeError      [TypeError]       an argument of the wrong type
    │   └── DataTypeError                        data of a type that cannot become a tensor
    ├── ReservedNameError      [AttributeError]  a submodule named like a method of Model
    ├── StateError             [RuntimeError]    a call that is not possible now
    │   ├── NotBuiltError                        sizes are not known yet
    │   ├── NotCompiledError                     compile() has not been called
    │   ├── FolderInUseError                     another process has the folder
    │   ├── DataExhaustedError                   a source ended before the epoch did
    │   └── NonFiniteLossError                   the loss became NaN or infinite
    │       └── NonFiniteGradientError           the loss is finite, its gradients are not
    ├── ShapeError             [RuntimeError, ValueError]  a layer that cannot take what it was given
    ├── LayerNotFoundError     [LookupError]     no layer of that name or index
    ├── WeightsError           [RuntimeError]    a weights file that is damaged or does not fit
    ├── ExportError            [RuntimeError]    a net that cannot be exported, or gives other outputs then
    ├── UnreadableFileError    [RuntimeError]    a file for something else, or of a newer easyconv
    │   └── DamagedFileError                     a file that was cut off or altered after it was written
    ├── FileMissingError       [FileNotFoundError]  no file at that path
    ├── FileWriteError         [OSError]         a file that cannot be written
    └── MissingExtraError      [ImportError]     an optional package that is not installed

    EasyconvWarning            [UserWarning]     goes on, but somebody should look

A message says what was expected, what came, and what to do.
"""

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "BrokenPictureError",
    "DamagedFileError",
    "DataError",
    "DataExhaustedError",
    "DataTypeError",
    "EasyconvError",
    "EasyconvWarning",
    "EmptyDataError",
    "ExportError",
    "FileMissingError",
    "FileWriteError",
    "FolderInUseError",
    "LabelError",
    "LayerNotFoundError",
    "LengthError",
    "MissingExtraError",
    "NonFiniteDataError",
    "NonFiniteGradientError",
    "NonFiniteLossError",
    "NotBuiltError",
    "NotCompiledError",
    "ReservedNameError",
    "ResumeError",
    "SampleError",
    "ShapeError",
    "StateError",
    "UnknownNameError",
    "UnreadableFileError",
    "WeightsError",
]


class EasyconvError(Exception):
    """Base of every error that easyconv raises."""


class ArgumentError(EasyconvError, ValueError):
    """An argument has a value that makes no sense."""


class UnknownNameError(ArgumentError):
    """A name that is not in the list; the message suggests the nearest ones."""


class ResumeError(ArgumentError):
    """A run that cannot go on from what its folder holds: net, data or arguments are others now."""


class DataError(ArgumentError):
    """Data that cannot be made right."""


class BrokenPictureError(DataError):
    """A file that is no picture, is cut off, or cannot be read."""


class EmptyDataError(DataError):
    """No rows, or a source that yields no batch."""


class LengthError(DataError):
    """Inputs, targets or weights of different lengths."""


class NonFiniteDataError(DataError):
    """NaN or infinity in the data."""


class SampleError(DataError):
    """A sample that its data set cannot read; the message names its number, and its file where that is known."""

    def __init__(self, message: str = "") -> None:
        # torch raises what a worker raised anew, with the worker's whole traceback for a message.
        super().__init__(message.rpartition(f"{SampleError.__name__}: ")[2].strip())


class LabelError(DataError):
    """Labels that do not fit the loss or the net."""


class ArgumentTypeError(EasyconvError, TypeError):
    """An argument of the wrong type."""


class DataTypeError(ArgumentTypeError):
    """Data of a type that cannot become a tensor."""


class ReservedNameError(EasyconvError, AttributeError):
    """A submodule or parameter named like a public attribute of ``Model``."""


class StateError(EasyconvError, RuntimeError):
    """A call that is not possible in the present state."""


class NotBuiltError(StateError):
    """The sizes of some layers are not known yet."""


class NotCompiledError(StateError):
    """``compile()`` has not been called."""


class FolderInUseError(StateError):
    """Another process writes to the folder."""


class DataExhaustedError(StateError):
    """A source of batches ended before the epoch did."""


class NonFiniteLossError(StateError):
    """The loss became NaN or infinite."""

    batch: int | None = None
    """Number of the batch in its epoch, from 1."""
    first: str | None = None
    """What was not finite first: inputs, weights, outputs, targets, loss or gradients; ``None`` where nobody knows."""
    layer: str | None = None
    """Dotted name of the layer in which it was; empty for the net itself."""
    rows: tuple[int, ...] = ()
    """Rows of the batch in which it was, where that is known."""


class NonFiniteGradientError(NonFiniteLossError):
    """The loss is finite, its gradients are not."""


class ShapeError(EasyconvError, RuntimeError, ValueError):
    """A layer that cannot take the tensor that reached it."""


class LayerNotFoundError(EasyconvError, LookupError):
    """No layer of that name or index."""


class WeightsError(EasyconvError, RuntimeError):
    """A weights file that is damaged or does not fit the net."""


class ExportError(EasyconvError, RuntimeError):
    """A net that cannot be exported, or whose exported form gives other outputs."""


class UnreadableFileError(EasyconvError, RuntimeError):
    """A file that holds something else, was written by a newer easyconv, or may not be read."""


class DamagedFileError(UnreadableFileError):
    """A file that was cut off or altered after it was written, or that was never one of easyconv's."""


class FileMissingError(EasyconvError, FileNotFoundError):
    """No file at that path."""


class FileWriteError(EasyconvError, OSError):
    """A file that cannot be written."""


class MissingExtraError(EasyconvError, ImportError):
    """An optional package that is not installed; the message names the extra to install."""


class EasyconvWarning(UserWarning):
    """Training goes on, but somebody should look."""
