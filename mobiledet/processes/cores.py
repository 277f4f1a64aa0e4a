"""The number of cores that this process may use, and their architecture."""

import os
import platform

EMULATOR = "MOBILEDET_EMULATOR"  # environment variable: name of the emulator that runs this process


def usable_cores() -> int:
    """Number of cores that this process may run on, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_x86() -> bool:
    """Whether this process runs on an x86-64 processor."""
    return platform.machine().lower() in ("x86_64", "amd64")
