"""Parses the output of TensorFlow Lite's ``benchmark_model``, in the formats of all its releases.

Times are microseconds; large ones come as 1.14e+07. Lines may start with ``INFO:`` or a log tag.
"""

import re
from dataclasses import dataclass

from mobiledet.errors import UserError

NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


@dataclass(frozen=True)
class RunTimes:
    """One line ``count=...``: runs and their microseconds.

    Attributes:
        count: number of runs.
        first_us, min_us, max_us, mean_us, std_us: statistics of the runs.
        p5_us, median_us, p95_us: percentiles; None if the release does not print them.
    """

    count: int
    first_us: float
    min_us: float
    max_us: float
    mean_us: float
    std_us: float
    p5_us: float | None
    median_us: float | None
    p95_us: float | None


@dataclass(frozen=True)
class ToolFigures:
    """The measurements of the tool.

    Attributes:
        init_us: time to load the file and build the graph.
        first_us: time of the first run.
        warmup: warm-up runs; None if there were none.
        timed: timed runs.
        memory_mb: peak growth of the process in MiB; None if the release does not print it.
        actual: the accelerator: ``cpu`` (built-in kernels), or the name of the delegate in lower case.
        delegated_share: fraction of the graph's operations that the delegate runs; None if it is not printed.
    """

    init_us: float
    first_us: float
    warmup: RunTimes | None
    timed: RunTimes
    memory_mb: float | None
    actual: str
    delegated_share: float | None


def parse(text: str) -> ToolFigures:
    """Parse the output of the tool.

    Raises:
        UserError: figures are missing.
    """
    runs = [times for line in text.splitlines() if (times := _parse_count(line))]
    summary = re.search(rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, Warmup", text)
    if not summary or not runs or not runs[-1].count:
        printed = [line.strip() for line in text.splitlines() if line.strip()]
        reason = next((line for line in printed if re.search(r"error|fail|cannot|not found", line, re.IGNORECASE)), "")
        raise UserError(f"benchmark_model timed nothing: {reason or (printed or ['it printed nothing'])[-1]}")
    memory = re.search(rf"emory footprint.*\(MB\).*overall={NUMBER}", text)
    actual, share = _delegate(text)
    return ToolFigures(
        init_us=float(summary[1]),
        first_us=float(summary[2]),
        warmup=runs[-2] if len(runs) > 1 and runs[-2].count else None,
        timed=runs[-1],
        memory_mb=float(memory[1]) if memory else None,
        actual=actual,
        delegated_share=share,
    )


def _parse_count(line: str) -> RunTimes | None:
    count = re.search(r"\bcount=(\d+)", line)
    if not count:
        return None
    fields = {name: float(value) for name, value in re.findall(rf"\b(\w+)={NUMBER}", line)}
    number = int(count[1])
    same = fields.get("curr", 0.0)  # the only value if all are equal, or with a single run
    return RunTimes(
        count=number,
        first_us=fields.get("first", same),
        min_us=fields.get("min", same),
        max_us=fields.get("max", same),
        mean_us=fields.get("avg", same),
        std_us=fields.get("std", 0.0),
        p5_us=fields.get("p5"),
        median_us=fields.get("median"),
        p95_us=fields.get("p95"),
    )


def _delegate(text: str) -> tuple[str, float | None]:
    """The accelerator, and its share of the operations, of the first of several partitionings."""
    if re.search(r"delegate is explicitly applied, the model graph will not be executed", text):
        return "cpu", None
    applied = re.search(r"[Aa]pplied (\w+) delegate, and the model graph will be (\w+) executed", text)
    named = applied or re.search(r"Created TensorFlow Lite (XNNPACK) delegate for CPU", text)
    replaced = re.search(r"Replacing (\d+) out of (\d+) node\(s\) with delegate", text)
    share = int(replaced[1]) / int(replaced[2]) if replaced and int(replaced[2]) else None
    if share is None and applied and applied[2] == "completely":
        share = 1.0
    return (named[1].lower(), share) if named else ("cpu", None)
