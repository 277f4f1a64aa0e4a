"""The processor: how many cores the operating system lets this process use, and of what kind they are."""

import os
import platform

EMULATOR = "MOBILEDET_EMULATOR"  # environment variable: what plays the processor of this process


def usable_cores() -> int:
    """Cores that this process may run on; fewer than the machine's where it is confined to some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_x86() -> bool:
    """Whether this process runs on an x86-64 processor."""
    return platform.machine().lower() in ("x86_64", "amd64")
