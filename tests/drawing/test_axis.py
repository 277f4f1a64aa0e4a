import itertools

import numpy as np
import pytest

from mobiledet.drawing.axis import Axis


@pytest.mark.parametrize("values", [[5.0], [0.004, 0.006], [10, 12, 60], [1, 9], [0.5, 700], [1234.0, 1235.0]])
def test_latency_axis_holds_all_values_and_round_ticks(values: list[float]) -> None:
    axis = Axis.for_latency(values)
    assert axis.log == (max(values) > 8 * min(values))
    places = [axis.place(value) for value in values]
    assert min(places) > 0.02
    assert max(places) < 0.98
    assert 2 <= len(axis.ticks) <= 12
    for tick in axis.ticks:
        assert axis.low <= tick <= axis.high
        mantissa = tick / 10 ** np.floor(np.log10(tick)) if tick else 0
        assert axis.log is False or any(abs(mantissa - m) < 1e-9 for m in (1, 2, 5))
    if not axis.log:
        steps = np.diff(axis.ticks)
        np.testing.assert_allclose(steps, steps[0])


def test_logarithmic_places() -> None:
    axis = Axis.for_latency([1, 100])
    a, b, c = (axis.place(value) for value in (1, 10, 100))
    assert b - a == pytest.approx(c - b)


@pytest.mark.parametrize("values", [[0.0], [1.0], [0.3], [0.2, 0.25, 0.41], [0.0, 1.0]])
def test_precision_axis_stays_in_range(values: list[float]) -> None:
    axis = Axis.for_precision(values)
    assert 0 <= axis.low < axis.high <= 1
    assert all(0 <= axis.place(value) <= 1 for value in values)
    shown = [f"{tick:.2f}" for tick in axis.ticks]
    assert len(shown) == len(set(shown)) >= 2
    assert all(a < b for a, b in itertools.pairwise(axis.ticks))
