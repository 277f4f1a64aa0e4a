"""Times of the operations of a .tflite file, as LiteRT's own profiler measures them during a run.

Run as a program, in a process of its own, because a runtime of another layout would crash it:
python -m mobiledet.profile.litert_profiler FILE THREADS

LiteRT's Python interface has no profiler. Its C interface has one (litert/c/litert_profiler.h), in the same library of
the same package; this is the small part of it that is needed. XNNPACK reports each of its operations there.
"""

import ctypes
import json
import sys
import time
from ctypes import Structure, byref, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np

CPU = 1  # kLiteRtHwAcceleratorCpu
WRITE = 1  # kLiteRtTensorBufferLockModeWrite
OPERATION_EVENTS = (2, 8)  # an operation in LiteRT's own kernels, and one that a delegate reports
FIRST_EVENT = b"LiteRT::Run"  # of a run; missing if there are more events than the profiler keeps
WARMUP_RUNS = 10
ROUNDS = 30  # minimum
SECONDS = 3.0  # minimum


@dataclass(frozen=True)
class OperationTimes:
    """Milliseconds of a run and of its operations: means over the faster half of the runs, which are least disturbed.

    The profiler cuts the time of an operation down to whole microseconds, so that the sum of many short operations is
    below the time of the run.

    Attributes:
        whole_ms: time of a run without the profiler, alternating with profiled runs.
        operations: name and time of each operation, in the order of execution.
        runs: number of runs of each kind.
    """

    whole_ms: float
    operations: tuple[tuple[str, float], ...]
    runs: int


class _Layout(Structure):
    _fields_ = (("rank", c_uint32), ("dimensions", c_int32 * 8), ("strides", c_uint32 * 8))


class _TensorType(Structure):
    _fields_ = (("element_type", c_int), ("layout", _Layout))


class _Event(Structure):
    _fields_ = (
        ("tag", c_char_p),
        ("event_type", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_size_t * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


class ProfiledModel:
    """A .tflite file that runs on the processor with LiteRT's profiler attached.

    Args:
        path: the .tflite file.
        threads: number of CPU threads.

    Raises:
        RuntimeError: LiteRT refuses; the message names the function.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._library = ctypes.CDLL(str(Path(ai_edge_litert.__file__).parent / "libLiteRt.so"))
        self._environment = self._make("LiteRtCreateEnvironment", 0, None)
        model = self._make("LiteRtCreateModelFromFile", self._environment, str(path).encode())
        options = self._make("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
        self._add_options(options, b"runtime_options_string", "enable_profiling = true\n")
        self._add_options(options, b"xnnpack", f"num_threads = {threads}\n")
        self._compiled = self._make("LiteRtCreateCompiledModel", self._environment, model, options)
        self._profiler = self._make("LiteRtCompiledModelGetProfiler", self._compiled)
        signature = self._make("LiteRtGetModelSignature", model, c_size_t(0))
        self._inputs = self._buffers("Input", signature)
        self._outputs = self._buffers("Output", signature)
        for buffer in self._inputs:
            self._clear(buffer)

    def run(self) -> None:
        """Run the file once, on zeros."""
        counts = c_size_t(len(self._inputs)), c_size_t(len(self._outputs))
        self._call(
            "LiteRtRunCompiledModel", self._compiled, c_size_t(0), counts[0], self._inputs, counts[1], self._outputs
        )

    def profile(self) -> list[tuple[str, int]]:
        """Run the file once; returns names and microseconds of its operations, in the order of execution.

        Raises:
            RuntimeError: the run has more operations than the profiler keeps.
        """
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self.run()
        self._call("LiteRtStopProfiler", self._profiler)
        count = c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, byref(count))
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        if not count.value or not events[0].tag.startswith(FIRST_EVENT):
            raise RuntimeError(f"LiteRT's profiler kept only {count.value} events of a run")
        return [(event.tag.decode(), event.elapsed_us) for event in events if event.event_type in OPERATION_EVENTS]

    def _buffers(self, kind: str, signature: c_void_p) -> Any:
        count = c_size_t()
        self._call(f"LiteRtGetNumSignature{kind}s", signature, byref(count))
        buffers = (c_void_p * count.value)()
        for index in map(c_size_t, range(count.value)):
            tensor = self._make(f"LiteRtGetSignature{kind}TensorByIndex", signature, index)
            tensor_type = _TensorType()
            self._call("LiteRtGetRankedTensorType", tensor, byref(tensor_type))
            needs = self._make(f"LiteRtGetCompiledModel{kind}BufferRequirements", self._compiled, c_size_t(0), index)
            buffers[index.value] = self._make(
                "LiteRtCreateManagedTensorBufferFromRequirements", self._environment, byref(tensor_type), needs
            )
        return buffers

    def _clear(self, buffer: int) -> None:
        size = c_size_t()
        self._call("LiteRtGetTensorBufferSize", c_void_p(buffer), byref(size))
        memory = c_void_p()
        self._call("LiteRtLockTensorBuffer", c_void_p(buffer), byref(memory), WRITE)
        assert memory.value
        ctypes.memset(memory.value, 0, size.value)
        self._call("LiteRtUnlockTensorBuffer", c_void_p(buffer))

    def _add_options(self, options: c_void_p, identifier: bytes, text: str) -> None:
        c_library = ctypes.CDLL(None)
        c_library.strdup.restype = c_void_p
        copy = c_void_p(c_library.strdup(text.encode()))  # LiteRT frees it
        free = ctypes.cast(c_library.free, c_void_p)
        self._call("LiteRtAddOpaqueOptions", options, self._make("LiteRtCreateOpaqueOptions", identifier, copy, free))

    def _make(self, function: str, *arguments: Any) -> c_void_p:
        """Call a function that returns a handle in its last argument."""
        handle = c_void_p()
        self._call(function, *arguments, byref(handle))
        return handle

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise RuntimeError(f"LiteRT's {function} failed with status {status}")


def measure(path: Path, threads: int) -> OperationTimes:
    """Run a file many times, alternating with and without the profiler.

    Raises:
        RuntimeError: LiteRT refuses the file, or runs differ in their operations.
    """
    model = ProfiledModel(path, threads)
    for _ in range(WARMUP_RUNS):
        model.run()
    names = [name for name, _ in model.profile()]
    whole_ns: list[int] = []
    parts_us: list[list[int]] = []
    end = time.perf_counter() + SECONDS
    while len(whole_ns) < ROUNDS or time.perf_counter() < end:
        started = time.perf_counter_ns()
        model.run()
        whole_ns.append(time.perf_counter_ns() - started)
        operations = model.profile()
        if [name for name, _ in operations] != names:
            raise RuntimeError("LiteRT's profiler reports other operations in every run")
        parts_us.append([elapsed for _, elapsed in operations])
    parts = np.asarray(parts_us)
    whole_ms = np.sort(whole_ns)[: len(whole_ns) // 2].mean() / 1e6
    times_ms = parts[parts.sum(axis=1).argsort()[: len(parts) // 2]].mean(axis=0) / 1e3
    return OperationTimes(float(whole_ms), tuple(zip(names, times_ms.tolist(), strict=True)), len(whole_ns))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Path(sys.argv[1]), int(sys.argv[2])))))
