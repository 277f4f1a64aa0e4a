import dataclasses

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.detections import Detections
from mobiledet.devices.base import GoldenReport
from mobiledet.devices.golden import replay_golden
from mobiledet.errors import UserError
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance


def _random(rng: np.random.Generator, count: int) -> Detections:
    corners = rng.random((count, 2))
    boxes = np.column_stack([corners, corners + rng.uniform(0.05, 0.4, (count, 2))]).astype(np.float32)
    scores = -np.sort(-rng.random(count)).astype(np.float32)
    return Detections(boxes, scores, rng.integers(0, 3, count))


def _replay(
    bundle: Bundle,
    expected: list[Detections],
    found: Detections,
    rows: int,
    accelerator: str = "xnnpack",
    cut: float = 0,
) -> GoldenReport:
    """Holds what was found in every case against what is expected there."""
    outputs = tuple(GoldenOutputs.of(each, 1, 1, cut) for each in expected)
    file = GoldenFile(outputs, "none", Tolerance(0.99, 1e-3), Tolerance(0.9, 0.05))
    cases = (GoldenInput.of_pixels(np.zeros((64, 64, 3), np.uint8)),) * len(expected)
    spec = dataclasses.replace(bundle.spec, nms=dataclasses.replace(bundle.spec.nms, top_k=rows, max_detections=rows))
    changed = dataclasses.replace(bundle, spec=spec, recorded=Golden(cases, {bundle.files[0].path: file}))
    return replay_golden(changed, bundle.files[0], accelerator, lambda case: found)


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
    if variant == "invented":
        expected = Detections(boxes[1:], scores[1:], labels[1:])
    pattern = (
        r"patch\.mobiledet: this runtime does not reproduce the outputs of model\.float32\.tflite: .*; "
        "golden case 0: it "
    )
    with pytest.raises(UserError, match=pattern + "(misses|invents)"):
        _replay(patch_bundle, [expected], found, rows=20)


def test_gate_forgives_what_the_cut_makes_differ(patch_bundle: Bundle) -> None:
    expected = _random(np.random.default_rng(2), 6)
    scores = np.array([0.9, 0.8, 0.7, 0.61, 0.6003, 0.6001], np.float32)
    everything = Detections(expected.boxes_xyxy, scores, expected.labels)

    def rows(*kept: int) -> Detections:
        index = list(kept)
        return Detections(everything.boxes_xyxy[index], scores[index], everything.labels[index])

    report = _replay(patch_bundle, [rows(0, 1, 2, 3, 4)], rows(0, 1, 2, 3, 5), rows=5)
    assert (report.cases, report.detections) == (1, 5)
    with pytest.raises(UserError, match=r"misses \w+ 0\.600"):
        _replay(patch_bundle, [rows(0, 1, 2, 3, 4)], rows(0, 1, 2, 3, 5), rows=6)
    # there the file had no room for more candidates
    assert _replay(patch_bundle, [rows(0, 1, 2, 3, 4)], rows(0, 1, 2, 3, 5), rows=6, cut=0.6).detections == 5


def test_processors_and_others_have_tolerances_of_their_own(patch_bundle: Bundle) -> None:
    expected = Detections(np.array([[0, 0, 0.5, 0.5]], np.float32), np.array([0.9], np.float32), np.array([0]))
    found = dataclasses.replace(expected, scores=expected.scores - np.float32(0.01))
    for accelerator in ("gpu", "npu", "ane", "all", "webgpu", ""):
        assert _replay(patch_bundle, [expected], found, 20, accelerator).largest_score_difference > 0.009
    for accelerator in ("cpu", "xnnpack", "wasm", "interpreter"):
        with pytest.raises(UserError, match=r"misses red 0\.900"):
            _replay(patch_bundle, [expected], found, 20, accelerator)


def test_gate_reports_the_worst_pair(patch_bundle: Bundle) -> None:
    expected = Detections(
        np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32), np.array([0.9, 0.8], np.float32), np.array([0, 1])
    )
    found = Detections(
        expected.boxes_xyxy + np.array([[0], [0.001]], np.float32), expected.scores - 5e-4, expected.labels
    )
    report = _replay(patch_bundle, [expected], found, rows=20)
    assert report.lowest_iou == pytest.approx(0.499**2 / (0.5 - 0.499**2), abs=1e-5)
    assert report.largest_score_difference == pytest.approx(5e-4, rel=1e-3)


def test_gate_forgives_a_few_boxes_that_overlap_by_just_the_threshold(patch_bundle: Bundle) -> None:
    """Of 40 boxes the runtime keeps the neighbour of some, whose overlap of 0.515 is about the NMS threshold."""
    left = np.arange(40, dtype=np.float32)[:, None] * 0.025
    boxes = np.concatenate([left, left * 0, left + 0.012, left * 0 + 0.5], axis=1)
    scores, labels = np.linspace(0.95, 0.6, 40, dtype=np.float32), np.zeros(40, np.int64)

    def moved(count: int) -> Detections:
        shifted = boxes.copy()
        shifted[:count, [1, 3]] += 0.16
        return Detections(shifted, scores, labels)

    expected = Detections(boxes, scores, labels)
    assert _replay(patch_bundle, [expected], moved(2), rows=50).detections == 40
    with pytest.raises(UserError, match="3 of 40 boxes are suppressed differently"):
        _replay(patch_bundle, [expected], moved(3), rows=50)


def test_cuts_do_not_forgive_half_of_a_list(patch_bundle: Bundle) -> None:
    """Scores at the threshold say nothing, but most of them must be there."""
    left = np.arange(20, dtype=np.float32)[:, None] / 20
    boxes = np.concatenate([left, left * 0, left + 0.05, left * 0 + 1], axis=1)
    expected = Detections(boxes, np.full(20, 0.5004, np.float32), np.zeros(20, np.int64))

    def first(count: int) -> Detections:
        return Detections(boxes[:count], expected.scores[:count], expected.labels[:count])

    assert _replay(patch_bundle, [expected], first(10), rows=50).detections == 20
    with pytest.raises(UserError, match="only 9 of 20 detections match"):
        _replay(patch_bundle, [expected], first(9), rows=50)
    with pytest.raises(UserError, match="it detects nothing where 2 detections are expected"):
        _replay(patch_bundle, [first(2)], Detections.empty(), rows=50)
