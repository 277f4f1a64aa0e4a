"""Run as a program, in a process of its own: load a model file, run it once, print a ColdStart as JSON.

python -m mobiledet.devices.cold_start FILE ACCELERATOR THREADS
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mobiledet.devices.base import ColdStart, LoadedFile
from mobiledet.devices.machine import memory_bytes


def cold_start(load: Callable[[], LoadedFile]) -> ColdStart:
    """Measure the first load and the first run; meaningful only in a process that has done neither."""
    memory_before = memory_bytes()
    started = time.perf_counter_ns()
    detector = load()
    loaded = time.perf_counter_ns()
    detector.set_input(np.full((detector.height, detector.width, 3), 127, np.uint8))
    ready = time.perf_counter_ns()
    detector.invoke()
    done = time.perf_counter_ns()
    memory_after = memory_bytes()
    grown = memory_after - memory_before if memory_before is not None and memory_after is not None else None
    return ColdStart(load_ns=loaded - started, first_infer_ns=done - ready, memory_bytes=grown)


if __name__ == "__main__":
    from mobiledet.devices.litert import LiteRtDetector  # other runtimes call the function cold_start directly

    path, accelerator, threads = sys.argv[1:]
    print(json.dumps(dataclasses.asdict(cold_start(lambda: LiteRtDetector(Path(path), accelerator, int(threads))))))
