"""Optimizers: arguments now, parameters once the net has some.

Every optimizer of ``torch.optim`` is here under its own name, without its first argument::

    model.compile(optimizer=ec.optim.SGD(lr=0.1, momentum=0.9))

and in ``compile(optimizer="sgd")`` under its name in lower case, with torch's defaults. ``groups=`` trains parts of
the net with settings of their own: `no_bias_decay` leaves biases and norms out of weight decay, `layerwise` and
`layer_rates` give layers rates of their own. ``LBFGS`` is missing:
it asks for the loss several times per step, which a loop over batches does not give.
"""

from collections.abc import Callable

from easyconv.names import suggest
from easyconv.optim.deferred import deferred
from easyconv.optim.factory import CLASSES as _CLASSES
from easyconv.optim.factory import OptimizerFactory, resolve_optimizer
from easyconv.optim.groups import no_bias_decay
from easyconv.optim.layerwise import layer_rates, layerwise
from easyconv.optim.rates import describe, get_lr, scale_lr, set_lr

__all__ = ["OptimizerFactory", "describe", "get_lr", "layer_rates", "layerwise", "no_bias_decay"]
__all__ += ["resolve_optimizer", "scale_lr", "set_lr"]
__all__ += sorted(_CLASSES)


def __getattr__(name: str) -> Callable[..., OptimizerFactory]:
    if name in _CLASSES:
        return deferred(name)
    hint = f" {suggest(name, _CLASSES)}" if not name.startswith("_") else ""
    raise AttributeError(f"easyconv.optim has no optimizer {name!r}.{hint}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_CLASSES})
