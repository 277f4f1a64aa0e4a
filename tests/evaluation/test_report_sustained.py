import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from mobiledet.devices.base import DeviceState
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.report import render
from mobiledet.evaluation.report_sustained import curves
from mobiledet.evaluation.result import Latency, Result


@pytest.fixture
def hot(variant: Callable[..., Result]) -> Result:
    """Runs of 10 ms for 60 s and of 15 ms for another 60 s; the device warms up from 30 to 48 degrees."""
    result = variant("hot")
    assert result.latency
    infer = [10_000_000] * 6000 + [15_000_000] * 4000
    started = np.concatenate([[0], np.cumsum(infer)[:-1]])
    states = tuple(
        DeviceState(None, None, {"skin": celsius, "cpu": celsius - 1}, word, None)
        for celsius, word in ((30.0, "none"), (48.0, "moderate"), (44.0, "moderate"))
    )
    plan = dataclasses.replace(result.latency.plan, seconds=120)
    latency = dataclasses.replace(
        result.latency,
        infer=LatencyStats.of(infer),
        started_ns=tuple(started.tolist()),
        plan=plan,
        states=states,
        state_ns=(-1, 60, 120),
    )
    return dataclasses.replace(result, latency=latency)


def _latency(result: Result) -> Latency:
    assert result.latency
    return result.latency


def test_curves_by_hand(hot: Result) -> None:
    p50, p90 = curves(_latency(hot))
    assert (p50.name, p90.name) == ("p50", "p90")
    assert len(p50.points) == 60
    np.testing.assert_allclose(p50.points[:, 0], np.arange(60) * 2 + 1, atol=1e-6)
    np.testing.assert_allclose(p50.points[:30, 1], 10)
    np.testing.assert_allclose(p50.points[30:, 1], 15)


def test_spans_without_a_run_are_left_out(hot: Result) -> None:
    latency = dataclasses.replace(
        _latency(hot), infer=LatencyStats.of([5_000_000] * 3), started_ns=(0, 50_500_000_000, 119_000_000_000)
    )
    np.testing.assert_allclose(curves(latency)[0].points, [(1, 5), (51, 5), (119, 5)], atol=1e-6)


def test_section_shows_long_measurements_alone(
    hot: Result, variant: Callable[..., Result], parse: Callable[[str], object]
) -> None:
    page = render([hot, variant("short")])
    section = page.split('id="sustained"')[1].split("</section>")[0]
    assert "hot" in section
    assert "short" not in section
    assert "throttled" in section
    assert "30 → 48 °C" in section
    assert "none → moderate" in section
    assert "10.0 ms first, 15.0 ms last" in section
    assert 'id="sustained"' not in render([variant("short")])
