"""Callbacks: code of anybody's that runs at certain moments of training.

The moments, in the order of a ``fit`` with validation (names, signatures and order are Keras's)::

    on_train_begin(logs)
    for epoch:
        on_epoch_begin(epoch, logs)
        for batch:
            on_train_batch_begin(batch, logs)
            on_train_batch_end(batch, logs)        # logs: running means, read from the device only when looked into
        on_test_begin(logs)                        # where validation is due
        for batch:
            on_test_batch_begin(batch, logs)
            on_test_batch_end(batch, logs)
        on_test_end(logs)
        on_epoch_end(epoch, logs)                  # logs: the row of the history, with the val_ names
    on_train_end(logs)                             # also after an error and after Ctrl-C

``evaluate`` fires the ``on_test_…`` events alone; ``predict`` fires ``on_predict_…``.

What a callback must remember for a training to go on in another process is its ``state_dict()``: plain data. The other
process calls ``on_train_begin``, then ``load_state_dict``, and goes on with the event that comes next.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from copy import copy
from types import MappingProxyType
from typing import Any, ClassVar

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.notices import warn_user
from easyconv.training.state import StepResult

__all__ = ["Callback", "CallbackList", "LazyLogs", "Logs"]

Logs = MutableMapping[str, Any]
Hook = Callable[..., None]

ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
"""Keras's short names for two events."""


class Callback:
    """Base class of callbacks: override the events that you want to hear of.

    Attributes
    ----------
    model : easyconv.Model
        The model that is trained, evaluated or asked. Set ``self.model.stop_training = True`` to end training.
    params : dict
        ``epochs``, ``steps`` (batches per epoch, ``None`` where unknown), ``verbose``, ``metrics`` (names that the
        logs of an epoch will have) and ``may_log_more`` (whether a callback of the user's may add names to them).
    remembers : tuple of str
        On the class: names of the attributes that a training which goes on in another process must have again.

    Examples
    --------
    >>> class Shout(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(f"epoch {epoch}: loss {logs['loss']:.1f}")
    >>> Shout().on_epoch_end(0, {"loss": 2.31})
    epoch 0: loss 2.3
    """

    # On the class, so that callbacks that never call super().__init__() have them too, as in Keras.
    model: Any = None
    params: Mapping[str, Any] = MappingProxyType({})
    remembers: ClassVar[tuple[str, ...]] = ()

    def set_model(self, model: Any) -> None:
        """Take the model; called before the first event."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take the parameters of the call; called before the first event."""
        self.params = params

    def state_dict(self) -> dict[str, Any]:
        """What it must know to go on in another process: numbers, text, ``None``, lists, dicts and tensors.

        Asked for between two events of a training. Holds the attributes that ``remembers`` names, none by default.
        """
        return {name: copy(getattr(self, name)) for name in self.remembers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a ``state_dict()``.

        Called after ``on_train_begin``, in place of the events up to the one after which the state was asked for.
        ``on_epoch_begin`` is not repeated where that was within an epoch.

        Raises
        ------
        ArgumentError
            When the state is of another callback, or lacks something.
        """
        lacking = [name for name in self.remembers if name not in state]
        if lacking:
            raise ArgumentError(
                f"{type(self).__name__} cannot go on from this state, which lacks {', '.join(map(repr, lacking))}. "
                "Pass the callbacks of the training that wrote it, in the same order."
            )
        for name in self.remembers:
            setattr(self, name, copy(state[name]))

    def absorbs(self, error: BaseException) -> bool:
        """Whether training ends in peace where this error came up; it is raised unless some callback says so."""
        return False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After training, however it ended; ``logs`` is the row of the last whole epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; what is written into ``logs`` goes into the history."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's short name for ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's short name for ``on_train_batch_end``."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch; batches count from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch; ``logs`` holds running means, read from the device when looked into."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before ``evaluate`` or a validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After ``evaluate`` or a validation; ``logs`` holds the results, without ``val_``."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of ``evaluate`` or a validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of ``evaluate`` or a validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before ``predict``."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of ``predict``."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of ``predict``; ``logs["outputs"]`` is what the net gave."""


class LazyLogs(MutableMapping[str, Any]):
    """Running means that are read from the device once somebody looks, in whatever way.

    Parameters
    ----------
    read : callable
        Gives the means.
    step : StepResult, optional
        What the step of this batch found out, still on the device.

    Examples
    --------
    >>> logs = LazyLogs(lambda: print("read") or {"loss": 0.5})
    >>> bool(logs)
    True
    >>> logs["loss"]
    read
    0.5
    >>> {**logs}
    {'loss': 0.5}
    """

    def __init__(self, read: Callable[[], Mapping[str, Any]], step: StepResult | None = None) -> None:
        self._read = read
        self.step = step
        self._values: dict[str, Any] | None = None

    def _looked(self) -> dict[str, Any]:
        if self._values is None:
            self._values = dict(self._read())
        return self._values

    def __getitem__(self, name: str) -> Any:
        return self._looked()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._looked()[name] = value

    def __delitem__(self, name: str) -> None:
        del self._looked()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._looked())

    def __len__(self) -> int:
        return len(self._looked())

    def __bool__(self) -> bool:
        # Keras callbacks often begin with `logs = logs or {}`: that alone must not read the device.
        return True

    def __repr__(self) -> str:
        return repr(self._looked())


class CallbackList:
    """The callbacks of one call, and who of them listens to what.

    Parameters
    ----------
    callbacks : iterable of Callback
        Each event reaches them in this order.

    Raises
    ------
    ArgumentTypeError
        When one of them is not a callback, or is a class in place of an instance.
    """

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = [_checked(callback) for callback in callbacks]

    def attach(
        self, model: Any, *, verbose: object, steps: int | None, epochs: int = 1, metrics: Iterable[str] = ()
    ) -> None:
        """Give every callback the model and the parameters of the call; see :class:`Callback` for what they mean."""
        params = {"verbose": verbose, "epochs": epochs, "steps": steps, "metrics": list(metrics)}
        params["may_log_more"] = self._may_log_more()
        for callback in self.callbacks:
            callback.set_params(dict(params))
            callback.set_model(model)

    def listeners(self, event: str) -> list[Hook]:
        """Methods for an event, only of the callbacks that do something there."""
        # As in Keras, the long name of an event calls the short one, unless it is overridden itself.
        names = [event, ALIASES[event]] if event in ALIASES else [event]
        listening = [c for c in self.callbacks if any(_overrides(c, name) for name in names)]
        return [getattr(callback, event) for callback in listening]

    def _may_log_more(self) -> bool:
        """Whether code from outside easyconv gets logs that go into the history."""
        hooks = [*self.listeners("on_epoch_end"), *self.listeners("on_test_end")]
        return any(not (getattr(hook, "__module__", None) or "").startswith("easyconv.") for hook in hooks)

    def fire(self, event: str, *arguments: Any) -> None:
        """Call every listener of an event."""
        for hook in self.listeners(event):
            hook(*arguments)

    @contextmanager
    def training(self, last_row: Callable[[], Logs | None]) -> Iterator[None]:
        """``on_train_begin`` before the block and ``on_train_end`` after it, for whoever saw the beginning.

        An error in an ``on_train_end`` does not keep the others from theirs, and does not hide an earlier error. An
        error that a callback absorbs ends the block in peace.
        """
        begun: list[Callback] = []
        try:
            for callback in self.callbacks:
                callback.on_train_begin({})
                begun.append(callback)
            yield
        except BaseException as error:
            absorbed = any(callback.absorbs(error) for callback in begun)
            failed = _end_all(begun, last_row())
            if not absorbed:
                for other in failed:
                    warn_user(f"A callback failed in on_train_end as well: {other!r}.")
                raise
        else:
            failed = _end_all(begun, last_row())
        if failed:
            raise failed[0]


def _end_all(callbacks: list[Callback], logs: Logs | None) -> list[BaseException]:
    errors: list[BaseException] = []
    for callback in callbacks:
        try:
            callback.on_train_end(logs)
        except BaseException as error:  # noqa: PERF203
            errors.append(error)
    return errors


def _overrides(callback: Callback, name: str) -> bool:
    return name in vars(callback) or getattr(type(callback), name) is not getattr(Callback, name)


def _warn_of_misspelt_events(callback: Callback) -> None:
    events = [name for name in vars(Callback) if name.startswith("on_")]
    for name in dir(type(callback)):
        if not name.startswith("on_") or name in events:
            continue
        near = difflib.get_close_matches(name, events, n=1, cutoff=0.85)
        if near:
            warn_user(
                f"{type(callback).__name__}.{name} is no event and will never be called. Did you mean {near[0]!r}?"
            )


def _checked(callback: object) -> Callback:
    if isinstance(callback, Callback):
        _warn_of_misspelt_events(callback)
        return callback
    if isinstance(callback, type):
        raise ArgumentTypeError(
            f"callbacks must hold instances, got the class {callback.__name__}; write {callback.__name__}(...)."
        )
    raise ArgumentTypeError(
        f"callbacks must hold instances of easyconv.callbacks.Callback, got {callback!r} ({type(callback).__name__}). "
        "Derive your class from it; a Keras callback needs no other change."
    )
