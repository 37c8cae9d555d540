"""Weights in files: the net's own keys, so that plain torch loads them."""

import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from easyconv.arguments import check_flag
from easyconv.errors import ArgumentError, ArgumentTypeError, FileMissingError, UnreadableFileError, WeightsError
from easyconv.files import is_state_file, read_state, write_whole
from easyconv.layers.lazy import SeededLazy, require_built
from easyconv.layers.shortcut import AutoShortcut

__all__ = ["LoadResult", "check_model_path", "check_weights_path", "load_weights", "save_weights"]

WRAPPERS = ("net.", "module.", "_orig_mod.")
"""What a ``Model`` around a net, ``DistributedDataParallel`` and ``torch.compile`` put before the keys of the net."""
_OF_TORCH = (".bin", ".pkl", ".pt", ".pt2", ".pth")
KERAS_ENDINGS = (".h5", ".keras")


class LoadResult(NamedTuple):
    """What ``load_weights`` could not match."""

    missing: list[str]
    """Keys of the net that the file does not have; they keep their values."""
    unexpected: list[str]
    """Keys of the file that the net does not have; they are left out."""
    skipped: list[str]
    """Keys of layers whose shapes in the file are others (``skip_mismatch=True``); they keep their values."""


def check_weights_path(path: str | os.PathLike[str]) -> Path:
    """Refuse paths that weights cannot go to.

    Raises
    ------
    ArgumentTypeError
        When it is no path.
    ArgumentError
        When it has one of Keras's endings.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(
            f"A weights file is named by a path like 'best.pt', got {path!r} ({type(path).__name__})."
        )
    if str(path).endswith(KERAS_ENDINGS):
        raise ArgumentError(
            f"{str(path)!r} has an ending of Keras's HDF5 files. Weights are written as torch files ('.pt', '.pth') "
            "or as '.safetensors'."
        )
    return Path(path)


def check_model_path(path: str | os.PathLike[str]) -> Path:
    """Refuse paths that whole models cannot go to; raises what `check_weights_path` does."""
    path = check_weights_path(path)
    if path.suffix in _OF_TORCH:
        raise ArgumentError(
            f"{str(path)!r} has an ending of torch's files, and whole models are written as safetensors: call it "
            f"{path.with_suffix('.safetensors').name!r}. For weights that torch.load reads: model.save_weights(path)."
        )
    return path


def save_weights(net: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write the parameters and buffers of a net.

    Parameters
    ----------
    net : torch.nn.Module
        Its ``state_dict()`` is written, with its own keys, from the CPU and contiguous.
    path : str or path
        ``.safetensors`` writes that format; every other ending writes a torch file.

    Raises
    ------
    NotBuiltError
        When sizes are not known yet.
    FileWriteError
        When the file cannot be written; an older file of that name is untouched.
    """
    path = check_weights_path(path)
    require_built(net, "save_weights()")
    state = {name: _portable(value) for name, value in net.state_dict().items()}
    size = sum(value.nbytes for value in state.values() if isinstance(value, Tensor))
    return write_whole(path, lambda file: _write(state, file, path), size=size)


def load_weights(
    net: nn.Module, path: str | os.PathLike[str], strict: bool = True, *, skip_mismatch: bool = False
) -> LoadResult:
    """Read parameters and buffers into a net. Nothing in the file is executed.

    Keys and shapes are compared first, so a file that does not fit changes nothing.

    Parameters
    ----------
    net : torch.nn.Module
        It keeps its device. Sizes that are not known yet are taken from the file.
    path : str or path
        A file of ``save_weights``, a ``state_dict`` that plain torch or safetensors has saved, a model's file, or a
        checkpoint of ``fit(resume=...)``. What wrappers put before the keys (``module.``, ``_orig_mod.``) is taken
        away.
    strict : bool, default True
        Refuse missing and unexpected keys; ``False`` loads what fits and returns the rest.
    skip_mismatch : bool, default False
        Leave out layers whose tensors have other shapes in the file, as a new head does, instead of refusing the file.

    Returns
    -------
    LoadResult
        ``missing`` and ``unexpected`` keys, both empty when ``strict``; and the ``skipped`` ones.

    Raises
    ------
    FileMissingError
        When there is no such file.
    WeightsError
        When the file is damaged, holds anything but tensors, or does not fit.
    """
    check_flag("strict", strict)
    check_flag("skip_mismatch", skip_mismatch)
    path = check_weights_path(path)
    state = _without_wrapper(net, _read(path))
    own = _expected(net, state)
    _check_only_tensors(state, own, path)
    shapes = dict(_other_shapes(net, own, state))
    skipped = _layers_of(shapes, own) if skip_mismatch else []
    missing = [name for name in own if name not in state and name not in skipped]
    unexpected = [name for name in state if name not in own]
    if (shapes and not skip_mismatch) or (strict and (missing or unexpected)):
        raise WeightsError(_mismatch(path, missing, unexpected, [] if skip_mismatch else list(shapes.values())))
    state = {name: value for name, value in state.items() if name not in skipped}
    if skipped and not any(name in state for name in own):
        raise WeightsError(f"The weights in {str(path)!r} do not fit this net: no layer has the shapes of the file.")
    try:
        net.load_state_dict(state, strict=strict and not skipped)
    except RuntimeError as error:  # a module that loads in its own way has its own reasons
        raise WeightsError(f"The weights in {str(path)!r} do not fit this net: {error}") from error
    return LoadResult(missing, unexpected, skipped)


def _other_shapes(net: nn.Module, own: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys whose tensors have other shapes in the file, and what to say of them."""
    for name, tensor in own.items():
        known = name in state and isinstance(tensor, Tensor) and not is_lazy(tensor)
        if known and tensor.shape != state[name].shape:
            yield name, f"{name}: {tuple(state[name].shape)} in the file, {tuple(tensor.shape)} in the net"
    yield from _misfits(net, state)


def _layers_of(keys: Iterable[str], own: Iterable[str]) -> list[str]:
    """All keys of the layers that these belong to: half a layer is of no use."""
    layers = {key.rpartition(".")[0] for key in keys}
    return [name for name in own if name.rpartition(".")[0] in layers]


def _without_wrapper(net: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """Keys as the net itself has them, where a wrapper (``Model``, DDP, ``torch.compile``) has saved its own."""
    own = net.state_dict()
    for prefix in WRAPPERS:
        if (
            state
            and all(name.startswith(prefix) for name in state)
            and not any(name.startswith(prefix) for name in own)
        ):  # wrappers may stand in wrappers
            return _without_wrapper(net, {name.removeprefix(prefix): value for name, value in state.items()})
    return state


def _expected(net: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """What the net holds once ``state`` has decided the shortcuts that wait for their first input."""
    own = net.state_dict()
    for path, shortcut in net.named_modules(remove_duplicate=False):
        if isinstance(shortcut, AutoShortcut) and shortcut.is_identity_in(state, path):
            own = {name: value for name, value in own.items() if not name.startswith(f"{path}.")}
    return own


def _misfits(net: nn.Module, state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What contradicts the sizes that layers know already though they still wait for others."""
    lazy: list[tuple[str, Any]] = [entry for entry in net.named_modules() if isinstance(entry[1], SeededLazy)]
    for prefix, layer in lazy:
        for name, tensor in (*layer._parameters.items(), *layer._buffers.items()):
            key = f"{prefix}.{name}" if prefix else name
            if is_lazy(tensor) and key in state and not layer.fits(name, state[key].shape):
                yield key, f"{key}: {tuple(state[key].shape)} in the file, which does not fit {layer}"


def _portable(value: Any) -> Any:
    """A tensor as files should have it; extra state that some modules keep (``get_extra_state``) stays as it is."""
    return value.detach().cpu().contiguous() if isinstance(value, Tensor) else value


def _write(state: dict[str, Any], file: BinaryIO, path: Path) -> None:
    if path.suffix == ".safetensors":
        from safetensors.torch import save

        others = [name for name, value in state.items() if not isinstance(value, Tensor)]
        if others:
            raise WeightsError(
                f"A safetensors file holds tensors only, and {others[0]!r} of this net is a "
                f"{type(state[others[0]]).__name__}. Save to a '.pt' file."
            )
        # Tied weights share memory, which the format refuses: each key gets a copy of its own.
        file.write(save({name: tensor.clone() for name, tensor in state.items()}, metadata={"format": "pt"}))
    else:
        torch.save(state, file)


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise WeightsError(f"{str(path)!r} is a folder, not a weights file. Name the file in it.")
    if not path.is_file():
        there = sorted(entry.name for entry in path.parent.glob(f"*{path.suffix}"))[:5] if path.parent.is_dir() else []
        hint = f" In that folder there are {', '.join(map(repr, there))}." if there else ""
        raise FileMissingError(f"There is no weights file {str(path)!r}.{hint}")
    if path.stat().st_size == 0:
        raise WeightsError(f"The weights file {str(path)!r} is empty (0 bytes). Use an earlier checkpoint.")
    if is_state_file(path):
        return _of_ours(path)
    try:
        loaded = (
            _load_safetensors(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"The weights file {str(path)!r} is damaged or holds more than tensors. Only tensors are read, since "
            "anything else could run code. Save net.state_dict() instead of the whole net."
        ) from error
    except PermissionError as error:
        raise WeightsError(f"The weights file {str(path)!r} cannot be read: {error.strerror or error}.") from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"The weights file {str(path)!r} is damaged: {reason}. Use an earlier checkpoint."
        ) from error
    if not isinstance(loaded, Mapping):
        raise WeightsError(f"{str(path)!r} holds a {type(loaded).__name__}, not a state_dict (names to tensors).")
    return {str(name): value for name, value in loaded.items()}


def _of_ours(path: Path) -> dict[str, Any]:
    """The weights in a file of ``model.save`` or a checkpoint of ``fit(resume=...)``."""
    try:
        kind, _, content = read_state(path, kind=("model", "checkpoint"))
    except UnreadableFileError as error:
        raise WeightsError(str(error)) from error
    if kind == "model":
        return dict(content["weights"])
    if not isinstance(content, dict) or "net" not in content:
        raise WeightsError(f"The checkpoint {str(path)!r} is none of fit(resume=...): there are no weights in it.")
    tensors = {**content["net"]["tensors"], **(content["ended"] or {"tensors": {}})["tensors"]}
    return {name: tensors[name] for name in content["net"]["state_dict"]}


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def _check_only_tensors(state: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    """Refuse what is no ``state_dict``; a net that keeps extra state finds it under its own keys."""
    others = [
        name
        for name, value in state.items()
        if not isinstance(value, Tensor) and isinstance(own.get(name, torch.empty(0)), Tensor)
    ]
    if others:
        raise WeightsError(
            f"{str(path)!r} is no state_dict: {', '.join(map(repr, others[:5]))} hold no tensors. Where the weights "
            "are one entry of a checkpoint, load it with torch and pass that entry to load_state_dict()."
        )


def _mismatch(path: Path, missing: list[str], unexpected: list[str], shapes: list[str]) -> str:
    lines = [f"The weights in {str(path)!r} do not fit this net; nothing was loaded."]
    for title, entries in (
        ("Missing in the file", missing),
        ("Not in the net", unexpected),
        ("Other shapes", shapes),
    ):
        if entries:
            more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
            lines.append(f"  {title}: {', '.join(entries[:8])}{more}")
    lines.append(_advice(missing, unexpected, shapes))
    return "\n".join(lines)


def _advice(missing: list[str], unexpected: list[str], shapes: list[str]) -> str:
    """What to do about keys that do not match; a prefix that somebody's wrapper has left is a usual cause."""
    prefixes = {name.partition(".")[0] + "." for name in unexpected}
    for prefix in sorted(prefixes):
        if missing and {name.removeprefix(prefix) for name in unexpected} == set(missing):
            return (
                f"The keys in the file begin with {prefix!r}, as a wrapper saves them; without it they fit. Save the "
                "wrapped net's own state_dict(), or take the prefix away and pass the result to load_state_dict()."
            )
    remedy = "Build the net as it was when the weights were saved"
    if not shapes:
        return f"{remedy}, or pass strict=False to load the keys that fit."
    return f"{remedy}, or pass skip_mismatch=True to leave out the layers of other shapes, a new head say."
