"""What ``profile`` has found, as numbers and as a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Layer", "Profile", "Roofline", "Word"]

_MOST_LAYERS = 8
_BAR = 24
_WORTH_SAYING = 1.05
_MOST_WORDS = 3


@dataclass(frozen=True)
class Layer:
    """What one layer does in the forward pass of a training step.

    Parameters
    ----------
    name, kind : str
        Dotted name, and class.
    seconds : float
        For a whole batch; all calls together.
    parameters : int
        How many it has.

    Examples
    --------
    >>> Layer("conv1", "Conv2d", 0.002, 260).kind
    'Conv2d'
    """

    name: str
    kind: str
    seconds: float
    parameters: int


@dataclass(frozen=True)
class Roofline:
    """How near a step comes to what this machine can do.

    Parameters
    ----------
    flops, moved : float
        Floating-point operations (two per multiply-add), and bytes read and written by all operations, for the forward
        and backward pass of one batch.
    seconds : float
        What these passes take.
    peak_flops, peak_bandwidth : float
        Operations per second in a product of two large matrices, and bytes per second in a copy of a large tensor, as
        measured just now.

    References
    ----------
    S. Williams, A. Waterman and D. Patterson, "Roofline: an insightful visual performance model for multicore
    architectures", Communications of the ACM 52 (2009), doi:10.1145/1498765.1498785.

    Examples
    --------
    >>> Roofline(flops=2e9, moved=1e8, seconds=0.1, peak_flops=1e11, peak_bandwidth=1e10).bound
    'arithmetic'
    """

    flops: float
    moved: float
    seconds: float
    peak_flops: float
    peak_bandwidth: float

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.flops / max(self.moved, 1.0)

    @property
    def bound(self) -> str:
        """What limits such a step: ``"arithmetic"`` or ``"memory"``."""
        return "arithmetic" if self.intensity > self.peak_flops / self.peak_bandwidth else "memory"

    @property
    def reached(self) -> float:
        """Share of the operations per second that the roofline allows; above 1 where the cache spares the memory."""
        allowed = min(self.peak_flops, self.intensity * self.peak_bandwidth)
        return self.flops / self.seconds / allowed if allowed else 0.0


@dataclass(frozen=True)
class Word:
    """Something that one can write, and what it gave when it was tried.

    Parameters
    ----------
    code : str
        What to write.
    factor : float
        How many times as fast a row was; below 1 it is slower.

    Examples
    --------
    >>> print(Word("compile(precision='bf16')", 1.9))
    1.90x  compile(precision='bf16')
    """

    code: str
    factor: float

    def __str__(self) -> str:
        return f"{self.factor:.2f}x  {self.code}"


@dataclass(frozen=True)
class Profile:
    """Where a training step's time goes; prints as a table.

    Attributes
    ----------
    device, precision : str
        Where and in what it was computed.
    batch_size : int
        Rows of a step.
    seconds : dict of str to float
        For one batch: ``data`` (reading and preparing it), ``transfer`` (to the device), ``forward``, ``loss``,
        ``backward``, ``optimizer`` and ``framework`` (the loop and the metrics: what ``fit`` takes beyond these). A
        ``train_step`` of the user's is one ``step``.
    rows_per_second : float
        Rows in the time of all of it.
    layers : list of Layer
        The slowest first.
    memory : dict of str to int
        Bytes of ``weights``, ``gradients``, ``optimizer`` and ``activations`` (what the forward pass keeps).
    roofline : Roofline or None
        None with a ``train_step`` of the user's.
    words : list of Word
        What was tried, the best first.
    failed : dict of str to str
        What could not be tried here, and why.

    Examples
    --------
    >>> import torch, easyconv as ec
    >>> model = ec.Sequential([ec.layers.Flatten(), ec.layers.Dense(10)])
    >>> model.compile()
    >>> found = ec.profile(model, torch.rand(64, 1, 8, 8), torch.zeros(64, dtype=torch.long), words=())
    >>> list(found.seconds)
    ['data', 'transfer', 'forward', 'loss', 'backward', 'optimizer', 'framework']
    """

    device: str
    precision: str
    batch_size: int
    seconds: Mapping[str, float]
    rows_per_second: float
    layers: list[Layer] = field(default_factory=list)
    memory: Mapping[str, int] = field(default_factory=dict)
    roofline: Roofline | None = None
    words: list[Word] = field(default_factory=list)
    failed: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, as plain dicts and lists, those that are computed from others too."""
        found = asdict(self)
        if self.roofline is not None:
            found["roofline"] |= {name: getattr(self.roofline, name) for name in ("intensity", "bound", "reached")}
        return found

    def __str__(self) -> str:
        parts = [self._head(), self._phases(), self._slowest(), self._memory(), self._reached(), self._advice()]
        return "\n\n".join(part for part in parts if part)

    __repr__ = __str__

    def _head(self) -> str:
        total = sum(self.seconds.values())
        return (
            f"A step of {self.batch_size} rows on {self.device} in {self.precision}: {_time(total)}, "
            f"{self.rows_per_second:,.0f} rows per second"
        )

    def _phases(self) -> str:
        return _shares(dict(self.seconds), sum(self.seconds.values()))

    def _slowest(self) -> str:
        if not self.layers:
            return ""
        shown = {f"{layer.name} ({layer.kind})": layer.seconds for layer in self.layers[:_MOST_LAYERS]}
        rest = self.layers[_MOST_LAYERS:]
        if rest:
            shown[f"{len(rest)} more"] = sum(layer.seconds for layer in rest)
        return "Forward pass, layer by layer\n" + _shares(shown, sum(shown.values()))

    def _memory(self) -> str:
        if not self.memory:
            return ""
        return "Memory: " + ", ".join(f"{name} {_bytes(count)}" for name, count in self.memory.items())

    def _reached(self) -> str:
        line = self.roofline
        if line is None or not line.flops:
            return ""
        return (
            f"Forward and backward: {line.flops / line.seconds / 1e9:.1f} GFLOP/s of {line.peak_flops / 1e9:.1f} that "
            f"a product of matrices reaches, {line.moved / line.seconds / 1e9:.1f} GB/s of "
            f"{line.peak_bandwidth / 1e9:.1f} that a copy reaches.\n{line.intensity:.1f} operations per byte: bound by "
            f"{line.bound}, at {line.reached:.0%} of what that allows."
        )

    def _advice(self) -> str:
        good = [word for word in self.words if word.factor >= _WORTH_SAYING][:_MOST_WORDS]
        rest = [f"{word.code} {word.factor:.2f}x" for word in self.words if word not in good]
        lines = ["Nothing that was tried helps."] if self.words else []
        if good:
            lines = ["What helps most, as tried for a few steps on copies:", *(f"  {word}" for word in good)]
        if rest:
            lines.append("Tried too: " + ", ".join(rest))
        return "\n".join([*lines, *(f"Does not work here: {code}. {why}" for code, why in self.failed.items())])


def _shares(seconds: Mapping[str, float], total: float) -> str:
    width = max(map(len, seconds))
    lines = []
    for name, value in seconds.items():
        share = max(value, 0.0) / total if total else 0.0
        bar = "#" * min(round(share * _BAR), _BAR)
        lines.append(f"  {name:<{width}}  {_time(value):>9}  {share:>4.0%}  {bar}".rstrip())
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if abs(seconds) >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if abs(seconds) >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
