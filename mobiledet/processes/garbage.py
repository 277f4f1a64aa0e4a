"""Pauses of Python's garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Pause the search for unreachable cycles within a block or a function that makes millions of objects.

    It scans them again and again: COCO takes twice as long to read with it, and libraries such as torch a sixth longer
    to load. Not for training, where few objects may hold much memory.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()
