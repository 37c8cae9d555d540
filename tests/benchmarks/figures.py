"""From seconds to ratios, and to text."""

import statistics
from collections.abc import Sequence
from typing import Any

__all__ = ["WIDER", "different", "ratios", "spread"]

WIDER = {"easyconv-bf16": 0.02, "tuned-bf16": 0.02, "easyconv-fast": 0.02}
"""Contestants that compute in bfloat16, and how far the loss may be from the others', as a share."""


def ratios(section: dict[str, Any], name: str) -> list[float]:
    """To the base of the workload in the same round; empty where the base is missing."""
    base = section["contestants"].get(section["base"])
    if base is None:
        return []
    return [mine / other for mine, other in zip(section["contestants"][name]["seconds"], base["seconds"], strict=True)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median, least and largest."""
    if not values:
        return "\N{EN DASH}"
    return f"{statistics.median(values):{form}} [{min(values):{form}} {max(values):{form}}]"


def different(section: dict[str, Any]) -> dict[str, float]:
    """Contestants whose loss on the rows of the check is not the base's, and by which share it differs."""
    checks = {name: values["check"]["loss"] for name, values in section["contestants"].items() if values["check"]}
    base = checks.get(section["base"])
    if base is None:
        return {}
    shares = {name: abs(loss - base) / base for name, loss in checks.items()}
    return {name: share for name, share in shares.items() if not share <= WIDER.get(name, 1e-4)}
