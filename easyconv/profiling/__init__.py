"""Where the time of a training step goes, and what would make it shorter on this machine."""

from easyconv.profiling.profiler import profile
from easyconv.profiling.report import Layer, Profile, Roofline, Word

__all__ = ["Layer", "Profile", "Roofline", "Word", "profile"]
