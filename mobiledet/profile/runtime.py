"""Measures the time of a .tflite file by kind of operation."""

import json
import re
import signal
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.processes.child import child_command

CONVOLUTION, ELEMENTWISE, MOVEMENT, OTHER = RUN_KINDS = ("convolution", "element-wise", "data movement", "other")

# XNNPACK's names of operations without the part in brackets, and LiteRT's names
KIND_OF_OPERATION = {
    CONVOLUTION: re.compile(
        r"Convolution|Deconvolution|(Dynamic )?Fully Connected|Batch Matrix Multiply|(DEPTHWISE_)?CONV_2D|"
        r"TRANSPOSE_CONV|FULLY_CONNECTED|BATCH_MATMUL"
    ),
    ELEMENTWISE: re.compile(
        r"(Binary|Unary) Elementwise|Abs|Add|ApproxGELU|Ceiling|Clamp|Convert|Divide|ELU|Exp|Floor|GELU|HardSwish|"
        r"LeakyReLU|Log|Maximum|Minimum|Multiply|Negate|PReLU|Power|(Reciprocal )?Square Root|Sigmoid|Square|"
        r"Squared Difference|Subtract|TanH|ABS|ADD|CAST|CEIL|DIV|ELU|(NOT_)?EQUAL|EXP|FLOOR(_DIV|_MOD)?|GELU|"
        r"(GREATER|LESS)(_EQUAL)?|HARD_SWISH|LEAKY_RELU|LOG|LOGICAL_(AND|NOT|OR)|LOGISTIC|MAXIMUM|MINIMUM|MUL|NEG|POW|"
        r"P?RELU|RELU(6|_0_TO_1|_N1_TO_1)|R?SQRT|SELECT(_V2)?|SQUARE|SQUARED_DIFFERENCE|SUB|TANH"
    ),
    MOVEMENT: re.compile(
        r"Constant Pad|Copy|(Depth To Space|Space To Depth)|(Fuse|Split) Dims|Slice|Static (Expand Dims|Reshape)|"
        r"Transpose|Unpooling|BROADCAST_TO|CONCATENATION|DEPTH_TO_SPACE|EXPAND_DIMS|GATHER(_ND)?|(UN)?PACK|"
        r"(MIRROR_)?PAD|PADV2|RESHAPE|RESIZE_NEAREST_NEIGHBOR|REVERSE_V2|SCATTER_ND|(STRIDED_)?SLICE|SPACE_TO_DEPTH|"
        r"SPLIT(_V)?|SQUEEZE|TILE|TRANSPOSE"
    ),
}


@dataclass(frozen=True)
class Operation:
    """All operations of one name in a file.

    Attributes:
        name: name in LiteRT or XNNPACK.
        kind: one of ``RUN_KINDS``; ``other`` includes pooling, softmax, sorting and unknown ones.
        count: number of operations.
        ms: total time of all of them in one run.
    """

    name: str
    kind: str
    count: int
    ms: float


@dataclass(frozen=True)
class RunTime:
    """The time of a run by operation.

    Attributes:
        threads: number of CPU threads.
        whole_ms: time of a run without the profiler.
        coverage: sum of all operations over ``whole_ms``. Below 1, because the profiler truncates the time of each
            operation to whole microseconds, and because of the overhead between operations.
        shares: fraction of each of ``RUN_KINDS`` in the sum of all operations; they add up to 1.
        operations: operations by name, the longest first.
        runs: number of measured runs.
    """

    threads: int
    whole_ms: float
    coverage: float
    shares: dict[str, float]
    operations: tuple[Operation, ...]
    runs: int

    def share_of(self, word: str) -> float:
        """Part of the sum that operations with this word in their name take."""
        named = sum(operation.ms for operation in self.operations if word in operation.name)
        return named / sum(operation.ms for operation in self.operations)


def measure_run_time(file: Path, threads: int) -> RunTime:
    """Profile a .tflite file in LiteRT, in a process of its own.

    Raises:
        UserError: LiteRT has no profiler here, or cannot run the file.
    """
    program = child_command("mobiledet.profile.litert_profiler", str(file), str(threads))
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        crashed = done.returncode < 0
        reason = f"it crashed with {signal.Signals(-done.returncode).name}" if crashed else last
        raise UserError(f"LiteRT cannot profile {file.name}: {reason}")
    measured = json.loads(done.stdout)
    return summarise(measured["operations"], measured["whole_ms"], measured["runs"], threads)


def summarise(operations: list[tuple[str, float]], whole_ms: float, runs: int, threads: int) -> RunTime:
    """Add up operations (name, milliseconds) by their names and kinds."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for name, ms in operations:
        by_name[name].append(ms)
    summed = [Operation(name, kind_of(name), len(times), sum(times)) for name, times in by_name.items()]
    total = sum(operation.ms for operation in summed)
    shares = {kind: sum(o.ms for o in summed if o.kind == kind) / total for kind in RUN_KINDS}
    ordered = tuple(sorted(summed, key=lambda operation: -operation.ms))
    return RunTime(threads, whole_ms, total / whole_ms, shares, ordered, runs)


def kind_of(name: str) -> str:
    """One of ``RUN_KINDS`` for the name of an operation, such as ``Transpose (ND, X32) Transpose``."""
    bare = name.partition(" (")[0]
    return next((kind for kind, names in KIND_OF_OPERATION.items() if names.fullmatch(bare)), OTHER)
