"""Settings of the C library's memory allocator for training on the CPU."""

import ctypes
import ctypes.util
import sys

# parameters of mallopt(3)
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
MAX_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Reuse the memory of freed tensors, instead of returning it to the system each time.

    By default the C library maps each large block afresh, and the system fills it with zeros page by page. That took a
    fifth of a training step, although its tensors have the same sizes at every step. Has an effect only with glibc.

    Returns:
        whether the allocator accepted the settings.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, MAX_INT), (ARENA_MAX, 1))
    accepted = [library.mallopt(parameter, value) for parameter, value in settings]
    return all(accepted)
