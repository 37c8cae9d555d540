"""Files that are cut off stay broken, whatever somebody else has told PIL."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["whole_files_only"]


class _Inside:
    """How many are reading now, and what PIL was told before the first of them came."""

    lock = threading.Lock()
    count = 0
    before = False


@contextmanager
def whole_files_only() -> Iterator[None]:
    """Have PIL refuse files that are cut off, and give back what it was told when the last reader is through.

    ``ImageFile.LOAD_TRUNCATED_IMAGES = True`` stands in many scripts. It fills what is missing with grey, so that a net
    would be trained on it in silence. PIL has this setting for the whole process only, hence the count.

    Examples
    --------
    >>> from PIL import ImageFile
    >>> with whole_files_only():
    ...     ImageFile.LOAD_TRUNCATED_IMAGES
    False
    """
    from PIL import ImageFile

    with _Inside.lock:
        if _Inside.count == 0:
            _Inside.before = ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        _Inside.count += 1
    try:
        yield
    finally:
        with _Inside.lock:
            _Inside.count -= 1
            if _Inside.count == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _Inside.before
