"""easyconv: Keras's verbs, PyTorch's modules, a hand-written loop's speed."""

from typing import TYPE_CHECKING

from easyconv import arithmetic, callbacks, data, errors, layers, losses, metrics, optim
from easyconv.layers import ConvBlock, InceptionA, Parallel, Residual
from easyconv.model import Model, Sequential, load
from easyconv.names import names_on_demand
from easyconv.saving.catalogue import also_from
from easyconv.seed import set_seed
from easyconv.training.history import History
from easyconv.training.run_folder import RunFolder
from easyconv.training.state import StepResult

if TYPE_CHECKING:
    from easyconv import augment, visualize, zoo
    from easyconv.measure import count_parameters, multiply_adds, output_shape, receptive_field
    from easyconv.profiling import profile

__all__ = [
    "ConvBlock",
    "History",
    "InceptionA",
    "Model",
    "Parallel",
    "Residual",
    "RunFolder",
    "Sequential",
    "StepResult",
    "__version__",
    "arithmetic",
    "augment",
    "callbacks",
    "count_parameters",
    "data",
    "errors",
    "layers",
    "load",
    "losses",
    "metrics",
    "multiply_adds",
    "optim",
    "output_shape",
    "profile",
    "receptive_field",
    "set_seed",
    "visualize",
    "zoo",
]

__version__ = "0.1.0"

also_from("easyconv.augment", "easyconv.zoo")

if not TYPE_CHECKING:
    # What a training does not need is imported when somebody asks for it.
    __getattr__, __dir__ = names_on_demand(
        __name__,
        {
            "augment": "easyconv.augment",
            "count_parameters": "easyconv.measure",
            "multiply_adds": "easyconv.measure",
            "output_shape": "easyconv.measure",
            "profile": "easyconv.profiling",
            "receptive_field": "easyconv.measure",
            "visualize": "easyconv.visualize",
            "zoo": "easyconv.zoo",
        },
    )
