"""Averaged weights, by Keras's name."""

from easyconv.arguments import check_flag
from easyconv.errors import StateError
from easyconv.training.callback import Callback, Logs

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Validate and save with averaged weights, train with the plain ones.

    Here ``compile(ema=0.999)`` does that by itself: validation, what callbacks see after an epoch, and the net after
    ``fit`` have the averages. This callback only sees to it that there are some, so that code from Keras, where it and
    ``use_ema`` belong together, does what it did.

    Parameters
    ----------
    swap_on_epoch : bool, default False
        Keras's argument: whether callbacks have the averages after an epoch. They always do here.

    Raises
    ------
    StateError
        When training begins without ``compile(ema=...)``.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd", ema=0.9)
    >>> history = model.fit(torch.rand(8, 3), torch.arange(8) % 2, callbacks=SwapEMAWeights(), verbose=0)
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = check_flag("swap_on_epoch", swap_on_epoch)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """See that there is an average."""
        if self.model._session.average is None:
            raise StateError("SwapEMAWeights needs averaged weights, which compile() makes: compile(..., ema=0.999).")
