"""Tracks of drawn scenes whose identities are known."""

from typing import Any

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.tracking.tracker import Tracker, TrackerSettings

Row = tuple[float, float, float, int]  # left, top, score, class; 20 x 40 pixels


def scene(*rows: Row) -> Detections:
    boxes = np.array([[x, y, x + 20, y + 40] for x, y, _, _ in rows], np.float32).reshape(-1, 4)
    scores, labels = (np.array([row[place] for row in rows], kind) for place, kind in ((2, np.float32), (3, np.int64)))
    return Detections(boxes, scores, labels)


def ids(tracker: Tracker, *rows: Row) -> list[int]:
    return tracker.update(scene(*rows)).ids.tolist()


def follow(**settings: Any) -> Tracker:
    return Tracker(0.5, TrackerSettings(**settings))


def test_objects_of_the_first_frame_are_told_at_once_later_ones_when_they_are_seen_again() -> None:
    tracker = follow()
    assert ids(tracker, (0, 0, 0.9, 0)) == [1]
    assert ids(tracker, (2, 0, 0.9, 0), (200, 0, 0.9, 0)) == [1]
    assert ids(tracker, (202, 0, 0.9, 0), (4, 0, 0.9, 0)) == [2, 1]
    flash = follow()
    assert [ids(flash), ids(flash, (0, 0, 0.9, 0)), ids(flash), ids(flash, (0, 0, 0.9, 0))] == [[]] * 4
    assert ids(flash, (0, 0, 0.9, 0)) == [1]  # and no id was spent on the flashes


def test_weak_detections_keep_a_track_and_begin_none() -> None:
    tracker = follow()
    assert ids(tracker, (0, 0, 0.9, 0), (100, 0, 0.4, 0)) == [1]
    for step in range(1, 6):
        assert ids(tracker, (step, 0, 0.2, 0), (100, 0, 0.4, 0)) == [1]
    assert ids(tracker, (6, 0, 0.05, 0)) == []  # below what is weak
    assert ids(tracker, (7, 0, 0.2, 0)) == []  # a lost track waits for a confident one
    assert ids(tracker, (8, 0, 0.6, 0)) == [1]


def test_a_hidden_object_keeps_its_id_for_some_frames_and_its_motion() -> None:
    for hidden, expected in ((10, [1]), (11, [])):
        tracker = follow(keep_lost=10)
        for step in range(20):
            assert ids(tracker, (4 * step, 0, 0.9, 0)) == [1]
        ended = [tracker.update(scene()).ended for _ in range(hidden)]
        assert ended == [()] * 10 + [(1,)] * (hidden - 10)
        assert ids(tracker, (4 * (20 + hidden), 0, 0.9, 0)) == expected  # it went on by twice its width meanwhile


def test_a_track_keeps_to_its_class_unless_it_may_change() -> None:
    frames = [scene((step, 0, 0.9, step % 2)) for step in range(6)]
    strict, loose = follow(), follow(any_class=True)
    assert [strict.update(frame).ids.tolist() for frame in frames] == [[1], [], [1], [], [1], []]
    told = [loose.update(frame) for frame in frames]
    assert [frame.ids.tolist() for frame in told] == [[1]] * 6
    assert [frame.objects.labels.tolist() for frame in told] == [[step % 2] for step in range(6)]


def test_thresholds_may_differ_by_class() -> None:
    tracker = Tracker(np.array([0.8, 0.2]))
    assert ids(tracker, (0, 0, 0.7, 0), (100, 0, 0.3, 1)) == [1]


def test_of_equal_pairs_the_older_track_and_the_first_detection_win() -> None:
    tracker = follow()
    assert ids(tracker, (0, 0, 0.9, 0), (0, 0, 0.9, 0)) == [1, 2]
    assert ids(tracker, (0, 0, 0.9, 0)) == [1]
    assert ids(tracker, (0, 0, 0.7, 0), (0, 0, 0.9, 0)) == [1, 2]


def test_boxes_that_cannot_be_followed_are_counted() -> None:
    found = scene((0, 0, 0.9, 0), (50, 0, 0.9, 0), (90, 0, 0.9, 0), (130, 0, 0.9, 0))
    found.boxes_xyxy[1, 2] = found.boxes_xyxy[1, 0]
    found.boxes_xyxy[2, 0] = np.nan
    found.boxes_xyxy[3, 3] = np.inf
    tracked = follow().update(found)
    assert (tracked.ids.tolist(), tracked.sources.tolist(), tracked.left_out) == ([1], [0], 3)


def test_smoothing_takes_jitter_and_leaves_no_lag() -> None:
    random = np.random.default_rng(1)
    strayed = {}
    for smoothing in (0.0, 0.7):
        tracker, away = follow(smoothing=smoothing), []
        for step in range(200):
            jitter = random.normal(0, 1.0)
            box = tracker.update(scene((3 * step + jitter, 0, 0.9, 0))).objects.boxes_xyxy[0]
            away.append(float(box[0]) - 3 * step)
        strayed[smoothing] = np.std(away[50:]), np.mean(away[50:])
    assert strayed[0.7][0] < 0.75 * strayed[0.0][0]
    assert abs(strayed[0.7][1]) < 0.3


def test_without_smoothing_boxes_are_those_of_the_detector() -> None:
    random, tracker = np.random.default_rng(2), follow()
    for _ in range(20):
        found = scene(*((30 * i + random.normal(), random.normal(), random.uniform(0.5, 1), 0) for i in range(9)))
        tracked = tracker.update(found)
        np.testing.assert_array_equal(tracked.objects.boxes_xyxy, found.boxes_xyxy[tracked.sources])
        np.testing.assert_array_equal(tracked.objects.scores, found.scores[tracked.sources])


def test_crossing_objects_keep_their_ids() -> None:
    tracker = follow()
    for step in range(60):
        rows = [(5 * step, 0, 0.9, 0), (300 - 5 * step, 0, 0.8, 0)]
        if 28 <= step <= 32:  # one hides the other
            rows = rows[:1]
        found = ids(tracker, *rows)
    assert found == [1, 2]


@pytest.mark.parametrize(
    "wrong", [{"weak": -0.1}, {"match_iou": 0}, {"confirm": 0}, {"keep_lost": -1}, {"smoothing": 1}, {"weak": np.nan}]
)
def test_settings_have_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        TrackerSettings(**wrong)
    with pytest.raises(UserError, match="confident"):
        Tracker(1.5)
