import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle, GoldenCase
from mobiledet.detections import Detections
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError


def _random(rng: np.random.Generator, count: int) -> Detections:
    corners = rng.random((count, 2))
    boxes = np.column_stack([corners, corners + rng.uniform(0.05, 0.4, (count, 2))]).astype(np.float32)
    scores = -np.sort(-rng.random(count)).astype(np.float32)
    return Detections(boxes, scores, rng.integers(0, 3, count))


def _fake_bundle(bundle: Bundle, cases: list[GoldenCase], rows: int) -> Bundle:
    """A bundle whose golden cases are these."""

    class Changed(Bundle):
        def golden(self) -> tuple[GoldenCase, ...]:
            return tuple(cases)

    spec = dataclasses.replace(bundle.spec, nms=dataclasses.replace(bundle.spec.nms, top_k=rows, max_detections=rows))
    return Changed(bundle.path, bundle.root, spec, bundle.files)


def _case(found: Detections) -> GoldenCase:
    image = np.zeros((64, 64, 3), np.uint8)
    return GoldenCase(image, found.boxes_xyxy[:, [1, 0, 3, 2]], found.labels, found.scores)


@pytest.mark.parametrize("variant", ["class", "box", "score", "missing", "invented"])
def test_gate_refuses_what_differs(patch_bundle: Bundle, variant: str) -> None:
    expected = _random(np.random.default_rng(1), 8)
    expected = Detections(expected.boxes_xyxy, np.linspace(0.95, 0.6, 8, dtype=np.float32), expected.labels)
    boxes, scores, labels = expected.boxes_xyxy.copy(), expected.scores.copy(), expected.labels.copy()
    if variant == "class":
        labels[3] = (labels[3] + 1) % 3
    elif variant == "box":
        boxes[3] += 0.1
    elif variant == "score":
        scores[3] -= 0.1
    found = Detections(boxes, scores, labels)
    if variant == "missing":
        found = Detections(boxes[1:], scores[1:], labels[1:])
    cases = [_case(expected)]
    if variant == "invented":
        cases = [_case(Detections(boxes[1:], scores[1:], labels[1:]))]
    bundle = _fake_bundle(patch_bundle, cases, rows=20)
    with pytest.raises(
        UserError, match=r"patch\.mobiledet: model\.float32\.tflite fails golden case 0 here: it (miss|inv)"
    ):
        replay_golden(bundle, bundle.files[0], lambda image: found)


def test_gate_forgives_what_the_cut_makes_differ(patch_bundle: Bundle) -> None:
    expected = _random(np.random.default_rng(2), 6)
    scores = np.array([0.9, 0.8, 0.7, 0.61, 0.6003, 0.6001], np.float32)
    everything = Detections(expected.boxes_xyxy, scores, expected.labels)

    def rows(*kept: int) -> Detections:
        index = list(kept)
        return Detections(everything.boxes_xyxy[index], scores[index], everything.labels[index])

    full = _fake_bundle(patch_bundle, [_case(rows(0, 1, 2, 3, 4))], rows=5)
    report = replay_golden(full, full.files[0], lambda image: rows(0, 1, 2, 3, 5))
    assert (report.cases, report.detections) == (1, 5)
    roomy = _fake_bundle(patch_bundle, [_case(rows(0, 1, 2, 3, 4))], rows=6)
    with pytest.raises(UserError, match=r"misses \w+ 0\.600"):
        replay_golden(roomy, roomy.files[0], lambda image: rows(0, 1, 2, 3, 5))


def test_gate_reports_the_worst_pair(patch_bundle: Bundle) -> None:
    expected = Detections(
        np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32), np.array([0.9, 0.8], np.float32), np.array([0, 1])
    )
    found = Detections(
        expected.boxes_xyxy + np.array([[0], [0.001]], np.float32), expected.scores - 5e-4, expected.labels
    )
    bundle = _fake_bundle(patch_bundle, [_case(expected)], rows=20)
    report = replay_golden(bundle, bundle.files[0], lambda image: found)
    assert report.lowest_iou == pytest.approx(0.499**2 / (0.5 - 0.499**2), abs=1e-5)
    assert report.largest_score_difference == pytest.approx(5e-4, rel=1e-3)


def test_gate_without_cases_is_refused(tmp_path: Path, write_patch_bundle: Callable[..., Bundle]) -> None:
    bundle = write_patch_bundle(tmp_path, golden=[])
    with pytest.raises(UserError, match="holds no golden case"):
        LocalDevice().load(bundle, bundle.files[0]).golden()


def test_gate_forgives_a_few_boxes_that_overlap_by_just_the_threshold(patch_bundle: Bundle) -> None:
    """Of 40 boxes the runtime keeps the neighbour of some, whose overlap of 0.515 is about the NMS threshold."""
    left = np.arange(40, dtype=np.float32)[:, None] * 0.025
    boxes = np.concatenate([left, left * 0, left + 0.012, left * 0 + 0.5], axis=1)
    scores, labels = np.linspace(0.95, 0.6, 40, dtype=np.float32), np.zeros(40, np.int64)
    bundle = _fake_bundle(patch_bundle, [_case(Detections(boxes, scores, labels))], rows=50)

    def moved(count: int) -> Detections:
        shifted = boxes.copy()
        shifted[:count, [1, 3]] += 0.16
        return Detections(shifted, scores, labels)

    assert replay_golden(bundle, bundle.files[0], lambda image: moved(1)).detections == 40
    with pytest.raises(UserError, match="4 of 40 boxes are suppressed differently"):
        replay_golden(bundle, bundle.files[0], lambda image: moved(2))
