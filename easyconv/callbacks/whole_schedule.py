"""Schedules that span the whole training: what is right for a rate that knows when it is over."""

import math
from typing import Literal, cast

from torch import Tensor
from torch.optim import Optimizer
from torch.optim import lr_scheduler as schedules

from easyconv.arguments import check_choice, check_flag, check_number
from easyconv.callbacks.torch_schedule import BEGAN_AT, LEFT_AT, TorchScheduler
from easyconv.errors import ArgumentError
from easyconv.training.callback import Logs

__all__ = ["OneCycle", "WarmupCosine"]

_ANNEALINGS: dict[str, Literal["cos", "linear"]] = {"cosine": "cos", "linear": "linear"}


class _WholeTraining(TorchScheduler):
    """A schedule that is over with the last batch of ``fit``.

    The next one begins where this one began, not with the tiny rates that it has left, unless somebody has set others.
    """

    def __init__(self) -> None:
        super().__init__(self._made, per="batch")

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave the rates as they are, and a note of them."""
        super().on_train_end(logs)
        for group in () if self._optimizer is None else self._optimizer.param_groups:
            group[LEFT_AT] = float(group["lr"])

    def _begin(self, optimizer: Optimizer) -> None:
        for group in optimizer.param_groups:
            rate = group[BEGAN_AT] if float(group["lr"]) == group.get(LEFT_AT) else float(group["lr"])
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            group[BEGAN_AT] = rate
        super()._begin(optimizer)

    def _steps_from(self, epoch: int) -> int:
        steps = self.params.get("steps")
        if steps is None:
            raise ArgumentError(
                f"{type(self).__name__} needs to know how many batches there are, which this source of data does not "
                "tell. Pass fit(steps_per_epoch=...)."
            )
        return int(steps) * (int(self.params["epochs"]) - epoch)

    def _length(self) -> int:
        return cast(int, self._total)


class OneCycle(_WholeTraining):
    """One rise and one long fall of the learning rate over the whole training, per batch; momentum the other way round.

    The rates of all parameter groups keep their ratios. Needs a training whose number of batches is known.

    Parameters
    ----------
    max_lr : float, optional
        The highest rate, of the first parameter group; by default the rate that the optimizer has, that of ``compile``
        also after an earlier cycle.
    rise : float, default 0.3
        Share of all batches in which the rate rises.
    start_factor : float, default 25
        It starts at ``max_lr / start_factor``.
    end_factor : float, default 1e4
        It ends at the first rate divided by this.
    cycle_momentum : bool, default True
        Let momentum (Adam's first beta) fall from 0.95 to 0.85 and rise again. Left out where the optimizer has none.
    anneal : {"cosine", "linear"}, default "cosine"
        Form of the rise and the fall: half cosines, or straight lines, which make a triangle.

    Raises
    ------
    ArgumentError
        When the number of batches is not known, or a number makes no sense.

    References
    ----------
    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates", 2018. The
    numbers are those of ``torch.optim.lr_scheduler.OneCycleLR``.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd", lr=1.0)
    >>> x, y = torch.rand(80, 3), torch.arange(80) % 2
    >>> history = model.fit(x, y, batch_size=8, epochs=3, callbacks=OneCycle(), verbose=0)
    >>> [f"{rate:.2g}" for rate in history.history["learning_rate"]]
    ['0.98', '0.39', '4e-06']
    """

    def __init__(
        self,
        max_lr: float | None = None,
        *,
        rise: float = 0.3,
        start_factor: float = 25.0,
        end_factor: float = 1e4,
        cycle_momentum: bool = True,
        anneal: str = "cosine",
    ) -> None:
        super().__init__()
        self.max_lr = None if max_lr is None else check_number("max_lr", max_lr, above=0)
        self.rise = check_number("rise", rise, above=0, below=1)
        self.start_factor = check_number("start_factor", start_factor, minimum=1)
        self.end_factor = check_number("end_factor", end_factor, minimum=1)
        self.cycle_momentum = check_flag("cycle_momentum", cycle_momentum)
        self.anneal = check_choice("anneal", anneal, list(_ANNEALINGS))

    def _made(self, optimizer: Optimizer) -> schedules.LRScheduler:
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        scale = 1.0 if self.max_lr is None else self.max_lr / (rates[0] or max(rates))
        has_momentum = any(key in optimizer.param_groups[0] for key in ("momentum", "betas"))
        return schedules.OneCycleLR(
            optimizer,
            [rate * scale for rate in rates],
            total_steps=self._length(),
            pct_start=self.rise,
            anneal_strategy=_ANNEALINGS[self.anneal],
            cycle_momentum=self.cycle_momentum and has_momentum,
            div_factor=self.start_factor,
            final_div_factor=self.end_factor,
        )


class WarmupCosine(_WholeTraining):
    """A straight rise to the learning rate of ``compile``, then half a cosine down, over the whole training, per batch.

    The rates of all parameter groups keep their ratios. Needs a training whose number of batches is known.

    Parameters
    ----------
    warmup : float, default 0.05
        Share of all batches in which the rate rises; 0 leaves it out.
    end : float, default 0.0
        The last rate, as a share of that of ``compile``.

    Raises
    ------
    ArgumentError
        When the number of batches is not known, or a number makes no sense.

    References
    ----------
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017 (warmup); Loshchilov and Hutter,
    "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017 (cosine). As torch's ``LinearLR`` followed by
    ``CosineAnnealingLR``, except that all groups end at the same share.

    Examples
    --------
    >>> import easyconv as ec, torch
    >>> model = ec.Sequential([ec.layers.Dense(2)])
    >>> model.compile("sgd", lr=1.0)
    >>> x, y = torch.rand(80, 3), torch.arange(80) % 2
    >>> history = model.fit(x, y, batch_size=8, epochs=3, callbacks=WarmupCosine(0.1), verbose=0)
    >>> [f"{rate:.2g}" for rate in history.history["learning_rate"]]
    ['0.84', '0.3', '0.0034']
    """

    def __init__(self, warmup: float = 0.05, *, end: float = 0.0) -> None:
        super().__init__()
        self.warmup = check_number("warmup", warmup, minimum=0, below=1)
        self.end = check_number("end", end, minimum=0, maximum=1)

    def _made(self, optimizer: Optimizer) -> schedules.LRScheduler:
        return schedules.LambdaLR(optimizer, self._factor)

    def _factor(self, step: int) -> float:
        rising = round(self.warmup * self._length())
        if step < rising:
            return (step + 1) / rising
        fallen = (step - rising) / max(1, self._length() - rising)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * fallen)) / 2
