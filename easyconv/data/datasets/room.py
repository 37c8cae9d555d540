"""How much memory and disk there is for a cache."""

import os
import shutil
from pathlib import Path

__all__ = ["available_memory", "free_disk"]


def available_memory() -> int:
    """Bytes that a process can take without others being pushed out: Linux says it; elsewhere half of all there is.

    A limit of the container (cgroup) counts too.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    found = [_of_the_system()]
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        found.append(max(0, limit - used))
    return min(found)


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


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
