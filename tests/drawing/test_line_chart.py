import re

import numpy as np
import pytest

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.frame import BOTTOM, LEFT, RIGHT, TOP
from mobiledet.drawing.line_chart import Line, legend, line_chart, spark_line

X, Y = Axis.linear(0, 10), Axis.linear(0, 2)


def places(markup: str) -> list[np.ndarray]:
    """The points of each line of a chart."""
    found = re.findall(r'<polyline points="([^"]*)"', markup)
    return [np.array([place.split(",") for place in text.split()], float) for text in found]


def test_points_stand_where_the_axes_say() -> None:
    line = Line("loss", np.array([(0, 2), (5, 1), (10, 0)], float))
    (points,) = places(line_chart([line], X, Y, "epoch", "loss", width=300, height=200))
    right, bottom = 300 - RIGHT, 200 - BOTTOM
    middle = ((LEFT + right) / 2, (TOP + bottom) / 2)
    np.testing.assert_allclose(points, [(LEFT, TOP), middle, (right, bottom)], atol=0.06)


def test_points_beyond_the_axis_stay_inside_the_chart() -> None:
    (points,) = places(line_chart([Line("loss", np.array([(0, 50), (12, 1)], float))], X, Y, "epoch", "loss", 300, 200))
    np.testing.assert_allclose(points, [(LEFT, TOP), (300 - RIGHT, (TOP + 200 - BOTTOM) / 2)], atol=0.06)


def test_ticks_and_names_are_written() -> None:
    chart = line_chart([Line("a", np.ones((2, 2)))], X, Y, "epoch", "loss")
    ticks = re.findall(r'class="tick">([^<]*)<', chart)
    assert ticks == ["0", "0.5", "1", "1.5", "2", "0", "2", "4", "6", "8", "10"]
    assert re.findall(r'class="axis">([^<]*)<', chart) == ["epoch", "loss"]
    assert 'aria-label="loss against epoch"' in chart


def test_one_point_is_a_dot_and_none_is_nothing() -> None:
    chart = line_chart([Line("a", np.array([(1.0, 1.0)])), Line("b", np.zeros((0, 2)))], X, Y, "x", "y")
    assert chart.count("<circle") == 1
    assert [len(points) for points in places(chart)] == [0]


def test_legend_has_the_colours_of_the_lines() -> None:
    lines = [Line(f"<{index}>", np.array([(0, index), (1, index)], float)) for index in range(3)]
    chart, key = line_chart(lines, X, Y, "x", "y"), legend(lines)
    assert re.findall(r'class="line (s\d)"', chart) == re.findall(r'class="line (s\d)"', key) == ["s0", "s1", "s2"]
    assert "&lt;2&gt;" in key
    assert legend(lines[:1]) == ""


@pytest.mark.parametrize("values", [np.linspace(1, 0, 101), np.zeros(101)])
def test_spark_line_spans_its_picture(values: np.ndarray) -> None:
    (points,) = places(spark_line(values, "precision"))
    assert len(points) == 101
    assert points[0][0] == 1
    assert points[-1].tolist() == [83, 27]
    assert points[0][1] == 27 - 26 * values[0]
