"""``init="paper"``: initial weights as a net's paper, or the code that made it known, has them."""

from torch import Tensor, nn

from easyconv.layers.initializers import InitLike
from easyconv.layers.schemes import SCHEMES
from easyconv.names import look_up, normalize

__all__ = ["choose_init", "he_and_small_dense", "is_paper"]


def choose_init(init: InitLike, paper: InitLike) -> InitLike:
    """What ``init=`` of a net means: ``"paper"`` is that of the net, all else is as for any model.

    Raises
    ------
    UnknownNameError
        When there are no initial weights of that name.
    """
    if isinstance(init, str):
        look_up(init, {**SCHEMES, "paper": None}, "init")
    return paper if is_paper(init) else init


def is_paper(init: InitLike) -> bool:
    """Whether a net is to start as in its paper."""
    return isinstance(init, str) and normalize(init) == "paper"


def he_and_small_dense(weight: Tensor) -> Tensor:
    """He's rule by the outputs of a unit for filters, N(0, 0.01²) for dense layers, as torchvision has it."""
    if weight.dim() == 2:
        return nn.init.normal_(weight, std=0.01)
    return nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
