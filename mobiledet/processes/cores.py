"""The number of cores that this process may use, and their architecture."""

import os
import platform

EMULATOR = "MOBILEDET_EMULATOR"  # environment variable: name of the emulator that runs this process


def usable_cores() -> int:
    """Number of cores that this process may run on, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_within(cores: int) -> int:
    """Number of threads for work on so many cores: OMP_NUM_THREADS limits it.

    Threads that wait for each other in busy loops, such as those of torch, are slow on cores that others use too.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list has the limits of nested regions
    return max(1, min(cores, int(limit)) if limit.isdecimal() and int(limit) else cores)


def is_x86() -> bool:
    """Whether this process runs on an x86-64 processor."""
    return platform.machine().lower() in ("x86_64", "amd64")
