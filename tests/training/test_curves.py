from pathlib import Path

import numpy as np
import pytest

from mobiledet.training.curves import (
    MAX_POINTS,
    CurvePoint,
    append_point,
    downsampled,
    read_lines,
    read_points,
    with_interval_losses,
)


def point(step: int, steps_per_epoch: int = 10, loss: float = 1.0) -> CurvePoint:
    return CurvePoint(step, step / steps_per_epoch, (step - 1) % steps_per_epoch + 1, 0.1, 50.0, {"class": loss})


def test_points_are_read_as_written(tmp_path: Path) -> None:
    points = [point(step) for step in (5, 10, 15)]
    for each in points:
        append_point(tmp_path / "curves.jsonl", each)
    assert read_points(tmp_path / "curves.jsonl") == points
    assert read_points(tmp_path / "none.jsonl") == []


def test_steps_that_a_resumed_run_did_again_count_once(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    for step, loss in ((5, 9.0), (10, 8.0), (15, 7.0), (20, 6.0)):
        append_point(path, point(step, loss=loss))
    with path.open("a") as file:
        file.write('{"step": 25, "epo\n')  # killed while it wrote
    append_point(path, point(10, loss=5.0))  # it goes on from a checkpoint after step 5
    append_point(path, point(12, loss=4.0))
    assert [(p.step, p.losses["class"]) for p in read_points(path)] == [(5, 9.0), (10, 5.0), (12, 4.0)]


def test_lines_that_are_no_points_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    path.write_text('[1]\nnot json\n{"step": 3}\n{"epoch": 1}\n')
    append_point(path, point(5))
    assert read_points(path) == [point(5)]
    assert read_lines(path)[:2] == [{"step": 3}, {"epoch": 1}]


def test_means_between_notes_are_those_of_the_steps_between() -> None:
    losses = np.random.default_rng(0).random(20)
    notes = [4, 8, 10, 14, 18, 20]
    points = [point(step, loss=losses[(step - 1) // 10 * 10 : step].mean()) for step in notes]
    got = [p.losses["class"] for p in with_interval_losses(points)]
    expected = [losses[a:b].mean() for a, b in zip([0, *notes], notes, strict=False)]
    assert got == pytest.approx(expected)


def test_thinned_points_keep_the_mean() -> None:
    points = np.random.default_rng(0).random((1000, 2))
    few = downsampled(points)
    assert MAX_POINTS / 2 < len(few) <= MAX_POINTS
    np.testing.assert_allclose(few[:-1].mean(axis=0), points[: len(few[:-1]) * 5].mean(axis=0))
    np.testing.assert_allclose(few[3], points[15:20].mean(axis=0))
    assert downsampled(points[:100]) is not None
    np.testing.assert_array_equal(downsampled(points[:100]), points[:100])
