"""The plan of a latency measurement, from the options of a command."""

import re

from mobiledet.devices.base import MAX_FPS, MAX_RUNS, MAX_SECONDS, BenchmarkPlan
from mobiledet.errors import UserError
from mobiledet.evaluation.config import EvaluateConfig

UNITS = {"s": 1, "m": 60, "h": 3600}
LIMITS = {
    "warmup_runs": (0, MAX_RUNS),
    "warmup_seconds": (0, MAX_SECONDS),
    "warmup_limit_seconds": (0, MAX_SECONDS),
    "min_runs": (1, MAX_RUNS),
    "min_seconds": (0, MAX_SECONDS),
    "fps": (0, MAX_FPS),
}
STATES = 60  # number of device states recorded in a sustained measurement


def benchmark_plan(config: EvaluateConfig) -> BenchmarkPlan:
    """The plan of a latency measurement.

    Raises:
        UserError: an option is out of range.
    """
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(config, name) <= most:  # also false for NaN
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name)} is not in {least}..{most:g}")
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
    """Parse a duration such as ``90s``, ``5m``, ``1.5h`` or ``90``; returns seconds.

    Raises:
        UserError: the text is not a duration, or is out of range.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    seconds = float(match[1]) * UNITS[match[2] or "s"] if match else 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise UserError(f"--sustained {text!r} is not a duration of at most 24h; give one such as 90s, 5m or 1h")
    return seconds
