from pathlib import Path
from typing import Any

import pytest

from mobiledet.devices.base import BenchmarkPlan
from mobiledet.errors import UserError
from mobiledet.evaluation.config import EvaluateConfig
from mobiledet.evaluation.plan import benchmark_plan, duration


def _plan(**options: Any) -> BenchmarkPlan:
    return benchmark_plan(EvaluateConfig(Path("x.mobiledet"), **options))


def test_options_of_the_command_are_the_defaults_of_the_plan() -> None:
    assert _plan() == BenchmarkPlan()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("30", 30), (" 2m ", 120), ("0.5s", 0.5)]
)
def test_duration(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "5 m", "-5m", "5min", "0s", "inf", "1e9"])
def test_no_duration(text: str) -> None:
    with pytest.raises(UserError, match="give one such as 90s, 5m or 1h"):
        duration(text)


def test_sustained_measurement_looks_at_the_device_sixty_times() -> None:
    plan = _plan(sustained="30m", fps=30.0)
    assert (plan.seconds, plan.state_seconds, plan.fps, plan.runs) == (1800, 30, 30, 50)
    assert _plan(sustained="10s").state_seconds == 1


@pytest.mark.parametrize("name", ["warmup_runs", "warmup_seconds", "warmup_limit_seconds", "min_seconds", "fps"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_impossible_values(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')} {value} is not in 0"):
        _plan(**{name: value})
