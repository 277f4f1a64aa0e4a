"""How long to measure, from the options of a command."""

import math
import re

from mobiledet.devices.base import BenchmarkPlan
from mobiledet.errors import UserError
from mobiledet.evaluation.config import EvaluateConfig

UNITS = {"s": 1, "m": 60, "h": 3600}
STATES = 60  # of a sustained measurement


def benchmark_plan(config: EvaluateConfig) -> BenchmarkPlan:
    """The plan of a latency measurement.

    Raises:
        UserError: an option is out of range.
    """
    for name in ("warmup_runs", "warmup_seconds", "warmup_limit_seconds", "min_seconds", "fps"):
        if not 0 <= getattr(config, name) < math.inf:
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name)} is negative or no number")
    if config.min_runs < 1:
        raise UserError(f"--min-runs {config.min_runs} is below 1")
    seconds = duration(config.sustained) if config.sustained else config.min_seconds
    return BenchmarkPlan(
        warmup_runs=config.warmup_runs,
        warmup_seconds=config.warmup_seconds,
        warmup_limit_seconds=config.warmup_limit_seconds,
        runs=config.min_runs,
        seconds=seconds,
        fps=config.fps,
        state_seconds=max(1.0, seconds / STATES) if config.sustained else BenchmarkPlan.state_seconds,
    )


def duration(text: str) -> float:
    """Seconds of a text such as ``90s``, ``5m``, ``1.5h`` or ``90``.

    Raises:
        UserError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match or not float(match[1]):
        raise UserError(f"--sustained {text!r} is no time; give one such as 90s, 5m or 1h")
    return float(match[1]) * UNITS[match[2] or "s"]
