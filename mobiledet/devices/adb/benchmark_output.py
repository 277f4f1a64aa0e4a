"""What TensorFlow Lite's ``benchmark_model`` prints, in all the forms that its releases print it.

Times are microseconds; large ones come as 1.14e+07. Lines may begin with ``INFO:`` or a log tag.
"""

import re
from dataclasses import dataclass

from mobiledet.errors import UserError

NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


@dataclass(frozen=True)
class RunTimes:
    """One line ``count=...``: runs and their microseconds.

    Attributes:
        count: of runs.
        first_us, min_us, max_us, mean_us, std_us: of them.
        p5_us, median_us, p95_us: None where the release does not print them.
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
    """All that the tool tells.

    Attributes:
        init_us: to load the file and build the graph.
        first_us: the first run.
        warmup: runs before the timed ones; None where there were none.
        timed: the timed runs.
        memory_mb: MiB that the process grew by at its peak; None where the release does not tell.
        actual: the accelerator: ``cpu`` (the builtin kernels), or the name of the delegate in small letters.
        delegated_share: part of the graph's operations that the delegate took; None where the tool does not tell.
    """

    init_us: float
    first_us: float
    warmup: RunTimes | None
    timed: RunTimes
    memory_mb: float | None
    actual: str
    delegated_share: float | None


def parse(text: str) -> ToolFigures:
    """Read the tool's output.

    Raises:
        UserError: figures are missing from it.
    """
    runs = [times for line in text.splitlines() if (times := _parse_count(line))]
    summary = re.search(rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER}, Warmup", text)
    if not summary or not runs or not runs[-1].count:
        spoken = [line.strip() for line in text.splitlines() if line.strip()]
        reason = next((line for line in spoken if re.search(r"error|fail|cannot|not found", line, re.IGNORECASE)), "")
        raise UserError(f"benchmark_model timed nothing: {reason or (spoken or ['it printed nothing'])[-1]}")
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
    same = fields.get("curr", 0.0)  # the only value where all are the same, one run included
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
    """The accelerator, and the share of operations that it took, of the first of several partitionings."""
    if re.search(r"delegate is explicitly applied, the model graph will not be executed", text):
        return "cpu", None
    applied = re.search(r"[Aa]pplied (\w+) delegate, and the model graph will be (\w+) executed", text)
    named = applied or re.search(r"Created TensorFlow Lite (XNNPACK) delegate for CPU", text)
    replaced = re.search(r"Replacing (\d+) out of (\d+) node\(s\) with delegate", text)
    share = int(replaced[1]) / int(replaced[2]) if replaced and int(replaced[2]) else None
    if share is None and applied and applied[2] == "completely":
        share = 1.0
    return (named[1].lower(), share) if named else ("cpu", None)
