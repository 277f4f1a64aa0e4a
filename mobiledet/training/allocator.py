"""How the process gets its memory while it trains on the CPU."""

import ctypes
import ctypes.util
import sys

# parameters of mallopt(3)
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep the memory of freed tensors for the next ones, instead of giving it back to the system each time.

    The C library maps every large block anew, and the system fills it with zeros page by page: that was a fifth of a
    training step, whose tensors have the same sizes again and again. Only with glibc; elsewhere nothing happens.

    Returns:
        whether it was done.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, LARGEST), (ARENA_MAX, 1))
    accepted = [library.mallopt(parameter, value) for parameter, value in settings]
    return all(accepted)
