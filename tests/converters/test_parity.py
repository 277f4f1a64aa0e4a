"""The gate of the export on hand-made detections."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.spec import NmsSpec
from mobiledet_converters.parity import ParityReport, compare, problem, worst
from mobiledet_converters.precisions import COARSE, EXACT, ROUNDED

NMS = NmsSpec(iou=0.5, score=0.1, top_k=20, max_detections=6)
TOLERANCE = EXACT


def detections(*rows: tuple[float, Sequence[float], int]) -> Detections:
    """Of (score, box, label)."""
    scores, boxes, labels = zip(*rows, strict=True)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels, np.int64))


EXPECTED = detections(
    (0.9, (0, 0, 20, 30), 0),
    (0.8, (40, 40, 60, 90), 1),
    (0.7, (41, 40, 60, 90), 2),  # another class on the same place
    (0.4, (100, 10, 130, 30), 0),
)


def edited(found: Detections, index: int, **changes: float | Sequence[float]) -> Detections:
    arrays = {name: np.array(getattr(found, name)) for name in ("boxes_xyxy", "scores", "labels")}
    for name, value in changes.items():
        arrays[name][index] = value
    return Detections(**arrays)


def rows(found: Detections, order: Sequence[int]) -> Detections:
    return Detections(found.boxes_xyxy[order], found.scores[order], found.labels[order])


def compared(found: Detections, expected: Detections = EXPECTED, cut: float = NMS.score) -> ParityReport:
    return compare([expected], [found], [cut], NMS, TOLERANCE)


def refused(report: ParityReport) -> bool:
    return bool(problem(report, TOLERANCE))


def test_equal_sets_are_exact() -> None:
    report = compared(EXPECTED)
    assert (report.unsettled, report.different) == (0, 0)
    assert (report.expected, report.matched, report.lowest_iou, report.largest_score_difference) == (4, 4, 1, 0)
    assert not refused(report)


def test_order_does_not_matter() -> None:
    assert compared(rows(EXPECTED, [2, 0, 3, 1])) == compared(EXPECTED)


def test_figures_are_those_of_the_pairs() -> None:
    # 20 x 30 against 20.1 x 30 and 20 x 50 against 20 x 50
    found = edited(edited(EXPECTED, 0, boxes_xyxy=(0, 0, 20.1, 30)), 1, scores=0.8004)
    report = compared(found)
    assert report.lowest_iou == pytest.approx(600 / 603, abs=1e-6)
    assert report.mean_iou == pytest.approx((600 / 603 + 3) / 4, abs=1e-6)
    assert report.largest_score_difference == pytest.approx(4e-4, abs=1e-6)
    assert not refused(report)


def test_a_dropped_box_is_refused_with_its_name() -> None:
    report = compared(rows(EXPECTED, [0, 2, 3]))
    assert (report.different, report.matched) == (1, 3)
    assert "3 of 4 match" in problem(report, TOLERANCE)
    assert problem(report, TOLERANCE).endswith("it misses class 1, score 0.800, box (40.0, 40.0, 60.0, 90.0)")


def test_an_invented_box_is_refused() -> None:
    extra = detections((0.5, (200, 200, 220, 220), 1))
    report = compared(Detections(*(np.concatenate(p) for p in zip(fields(EXPECTED), fields(extra), strict=True))))
    assert "it invents class 1, score 0.500" in report.example
    assert refused(report)


def fields(found: Detections) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return found.boxes_xyxy, found.scores, found.labels


def test_a_wrong_class_is_refused() -> None:
    report = compared(edited(EXPECTED, 0, labels=1))
    assert report.different == 2  # one missed, one invented
    assert refused(report)


def test_wrong_scores_are_refused() -> None:
    report = compared(edited(EXPECTED, 0, scores=0.6))
    assert report.largest_score_difference == pytest.approx(0.3)
    assert refused(report)


def test_shifted_boxes_are_refused() -> None:
    shifted = dataclasses.replace(EXPECTED, boxes_xyxy=EXPECTED.boxes_xyxy + 2)
    report = compared(shifted)
    assert report.matched == 0
    assert refused(report)


def test_nothing_found_is_refused() -> None:
    assert refused(compared(Detections.empty()))


def test_twice_as_much_may_differ_as_rounding_makes_differ() -> None:
    one_wrong = compared(edited(EXPECTED, 3, labels=1))
    assert one_wrong.different == 2
    assert problem(one_wrong, TOLERANCE).startswith("it misses 14.3% of the detections by score (3.5% allowed; 3 of 4")
    assert not problem(one_wrong, TOLERANCE, rounding=one_wrong)
    assert "28.6% allowed" in problem(compared(edited(EXPECTED, 0, labels=1)), TOLERANCE, rounding=one_wrong)


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_scores_may_be_off_by_twice_what_rounding_does(factor: float) -> None:
    exact, off, less = (
        compare([many(5, 0.3)], [many(5, 0.3 * by)], [0.1], NMS, ROUNDED) for by in (1, factor, 1 - (1 - factor) / 3)
    )
    assert "times PyTorch's as a whole (1.01 allowed)" in problem(off, ROUNDED)
    assert "times PyTorch's as a whole (1.01 allowed)" in problem(off, ROUNDED, worst([exact]))
    assert problem(off, ROUNDED, worst([exact, off])) == ""
    assert problem(less, ROUNDED) == ""


def test_worst_has_the_most_of_each() -> None:
    right, wrong = compared(EXPECTED), compared(edited(EXPECTED, 0, labels=1))
    assert (worst([right, wrong]).different, worst([right]).different) == (2, 0)
    report = worst([dataclasses.replace(right, unsettled=7, flipped=0.5), wrong])
    assert (report.different, report.unsettled) == (2, 7)
    assert (report.recall, report.precision, report.flipped) == (wrong.recall, wrong.precision, 0.5)


def test_two_empty_lists_agree() -> None:
    report = compared(Detections.empty(), Detections.empty())
    assert (report.unsettled, report.different) == (0, 0)
    assert (report.expected, report.lowest_iou) == (0, 1)


def test_a_box_at_the_score_threshold_may_fall_out() -> None:
    at_threshold = detections((0.1002, (200, 0, 220, 20), 0))
    report = compared(Detections.empty(), at_threshold)
    assert (report.cut, report.different) == (1, 0)
    assert not refused(report)


def test_a_box_below_the_score_threshold_is_refused() -> None:
    below = detections((0.05, (200, 0, 220, 20), 0))
    assert compared(below, Detections.empty()).different == 1


def test_a_box_at_the_last_candidate_may_fall_out() -> None:
    weakest = rows(EXPECTED, [0, 1, 2])
    assert refused(compared(weakest))
    assert not refused(compared(weakest, cut=0.3995))


def test_the_end_of_a_full_list_may_differ() -> None:
    boxes = [(30.0 * i, 0, 30.0 * i + 20, 20) for i in range(7)]
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.3001, 0.3]
    first, last = ([row for i, row in enumerate(zip(scores, boxes, [0] * 7, strict=True)) if i != k] for k in (6, 5))
    assert len(first) == NMS.max_detections
    report = compared(detections(*last), detections(*first))
    assert (report.matched, report.cut, report.different) == (5, 2, 0)
    # in lists that are not full the same is a difference
    assert refused(compared(detections(*last[1:]), detections(*first[1:])))


TIE = (0.5, (10, 10, 30, 30), 0), (0.5, (14, 10, 34, 30), 0)  # overlap 2/3: one of them is suppressed


def test_of_two_equal_scores_either_box_may_win() -> None:
    report = compared(detections(TIE[1]), detections(TIE[0]))
    assert (report.unsettled, report.different) == (1, 0)
    assert report.lowest_iou == 1  # the excused pair does not spoil the figures
    assert not refused(report)


def test_a_better_box_may_not_lose() -> None:
    better = (0.6, TIE[0][1], 0)
    assert refused(compared(detections(TIE[1]), detections(better)))


def test_a_box_at_the_suppression_threshold_may_stay_or_go() -> None:
    first = (0.9, (0, 0, 20, 30), 0)
    second = (0.5, (0, 10.05, 20, 40.05), 0)  # IoU 0.498
    report = compared(detections(first), detections(first, second))
    assert (report.unsettled, report.different) == (1, 0)
    clear = (0.5, (0, 15, 20, 45), 0)  # IoU 0.33
    assert compared(detections(first), detections(first, clear)).different == 1


def test_many_unsettled_boxes_are_refused() -> None:
    far = [tuple((score, [c + 100.0 * i for c in box], label) for score, box, label in TIE) for i in range(5)]
    report = compared(detections(*(pair[1] for pair in far)), detections(*(pair[0] for pair in far)))
    assert (report.unsettled, report.different) == (5, 0)
    assert problem(report, TOLERANCE).startswith("it suppresses differently 100.0% of the detections")


def test_images_are_added_up() -> None:
    report = compare([EXPECTED, EXPECTED], [EXPECTED, rows(EXPECTED, [0, 1, 2])], [0.1, 0.1], NMS, TOLERANCE)
    assert (report.images, report.expected, report.matched, report.different) == (2, 8, 7, 1)
    assert report.example.startswith("image 1:")


def many(count: int, score: float, label: int = 0) -> Detections:
    """Far from each other."""
    return detections(*((score, (100.0 * i, 0, 100 * i + 30.0, 40), label) for i in range(count)))


def test_faint_boxes_of_a_crowd_do_not_outvote_its_objects() -> None:
    nms = dataclasses.replace(NMS, top_k=100, max_detections=100, score=0.01)
    objects, faint = many(10, 0.9), many(20, 0.25, label=1)
    both = Detections(
        *(np.concatenate(pair) for pair in zip(vars(objects).values(), vars(faint).values(), strict=True))
    )
    without_faint = compare([both], [objects], [0.01], nms, COARSE)
    assert without_faint.different == 20
    assert without_faint.recall == pytest.approx(9 / 14)
    without_half = compare([both], [rows(both, range(5, 30))], [0.01], nms, COARSE)
    assert (without_half.different, without_half.recall) == (5, pytest.approx(1 - 4.5 / 14))


def test_a_share_of_few_detections_may_be_larger_by_chance() -> None:
    nms = dataclasses.replace(NMS, top_k=100, max_detections=100)
    for count, lost, passes in ((5, 1, True), (5, 2, False), (100, 10, True), (100, 20, False)):
        report = compare([many(count, 0.8)], [rows(many(count, 0.8), range(lost, count))], [0.1], nms, COARSE)
        assert report.weight == pytest.approx(count)
        assert bool(problem(report, COARSE)) != passes, (count, lost)


def test_scores_and_boxes_that_are_off_as_a_whole_are_refused() -> None:
    lower = compare([many(5, 0.6)], [many(5, 0.45)], [0.1], NMS, COARSE)
    assert lower.score_ratio == pytest.approx(0.75)
    assert problem(lower, COARSE) == "its scores are 0.750 times PyTorch's as a whole (1.25 allowed)"
    moved = many(5, 0.6)
    moved = Detections(moved.boxes_xyxy + np.float32([3, 0, 3, 0]), moved.scores, moved.labels)
    assert problem(compare([many(5, 0.6)], [moved], [0.1], NMS, COARSE), COARSE) == (
        "its boxes are off by 10.0% of their size as a whole (4.0% allowed)"
    )
