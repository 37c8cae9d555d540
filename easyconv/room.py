"""How much memory and disk there is for a cache."""

import os
import shutil
from pathlib import Path

__all__ = ["available_memory", "free_disk"]

_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Where a container of the second and of the first kind finds its limit."""
_CACHED = ("active_file", "inactive_file")


def available_memory() -> int:
    """Bytes that a process can take without others being pushed out: Linux says it; elsewhere half of all there is.

    A limit of the container (cgroup) counts too; what it holds of files that can be read again counts as free.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    groups = [_left_in_group(*names) for names in _GROUPS]
    return min([_of_the_system(), *(left for left in groups if left is not None)])


def free_disk(folder: Path) -> int:
    """Bytes that are free where a folder is, or will be made.

    Examples
    --------
    >>> free_disk(Path("not/yet/made")) > 0
    True
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _of_the_system() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 4 << 30  # Windows does not say; what most computers have


def _left_in_group(folder: str, limit_file: str, used_file: str) -> int | None:
    limit, used = _number(Path(folder, limit_file)), _number(Path(folder, used_file))
    if limit is None or used is None:
        return None
    cached = 0
    try:
        for line in Path(folder, "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            cached += int(value) if name in _CACHED else 0
    except (OSError, ValueError):
        pass
    return max(0, limit - used + min(cached, used))


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
