"""Where a model runs."""

import os

import torch

from easyconv.errors import ArgumentError, ArgumentTypeError
from easyconv.names import suggest

__all__ = ["DEVICE_VARIABLE", "best_device", "has_fast_bf16", "resolve_device", "wait_for"]

DEVICE_VARIABLE = "EASYCONV_DEVICE"
KINDS = ("cpu", "cuda", "mps", "xpu")


def best_device() -> torch.device:
    """The fastest device of this machine: CUDA, then Apple's MPS, then Intel's XPU, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    if torch.xpu.is_available():
        return torch.device("xpu")
    return torch.device("cpu")


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The device that ``compile(device=...)`` names.

    Parameters
    ----------
    device : str or torch.device, default "auto"
        ``"auto"`` takes the environment variable ``EASYCONV_DEVICE`` where it is set, and the fastest device of this
        machine otherwise. Anything else is torch's own: ``"cpu"``, ``"cuda:1"``.

    Raises
    ------
    ArgumentError
        When there is no such device.
    ArgumentTypeError
        When ``device`` is neither a string nor a ``torch.device``.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device.lower() == "auto":
        named = os.environ.get(DEVICE_VARIABLE, "")
        if named.lower() in ("", "auto"):
            return best_device()
        return _usable(named, source=f"the environment variable {DEVICE_VARIABLE}")
    if isinstance(device, (str, torch.device)):
        return _usable(device, source="device")
    raise ArgumentTypeError(
        f"device must be 'auto', a name like 'cpu' or 'cuda:0', or a torch.device, "
        f"got {device!r} ({type(device).__name__})."
    )


def has_fast_bf16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16, in which it is faster than in float32.

    So are CUDA devices from compute capability 8.0 on, and CPUs with AMX or AVX-512 BF16. Others would only imitate it.

    Examples
    --------
    >>> has_fast_bf16(torch.device("meta"))
    False
    """
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Names of torch's own, which may change: who cannot be asked is taken for slow.
        units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(bool(getattr(torch.cpu, unit, lambda: False)()) for unit in units)
    return False


def wait_for(device: torch.device) -> None:
    """Wait until a device has done all that it was told, so that a clock tells the truth.

    Examples
    --------
    >>> wait_for(torch.device("cpu"))
    """
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def _usable(device: str | torch.device, source: str) -> torch.device:
    try:
        found = torch.device(device)
    except RuntimeError as error:
        name = str(device).partition(":")[0]
        hint = "Did you mean 'cuda'?" if name.lower() == "gpu" else suggest(name, KINDS)
        raise ArgumentError(f"{source} is {str(device)!r}, and torch knows no such device. {hint}") from error
    if found.type == "meta":
        raise ArgumentError(f"{source} is 'meta', where tensors have no values to train. Pass 'cpu' or 'auto'.")
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ArgumentError(
            f"{source} is {str(device)!r}, which this machine cannot use ({str(error).splitlines()[0]}). "
            "Pass 'auto' to take the fastest device there is, or 'cpu'."
        ) from error
    return found
