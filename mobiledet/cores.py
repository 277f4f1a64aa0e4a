"""How many cores the operating system lets this process use."""

import os


def usable_cores() -> int:
    """Cores that this process may run on; fewer than the machine's where it is confined to some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
