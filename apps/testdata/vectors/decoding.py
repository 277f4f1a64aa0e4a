"""Outputs of a model file: as boxes in pixels, and compared with the expected ones."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.detections import Detections
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.outputs import to_detections
from mobiledet.errors import UserError
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec

LABELS = ("circle", "square", "ring")
CATEGORY_IDS = (3, 5, 90)
TOLERANCES = {"cpu": {"iou": 0.99, "score": 0.001}, "accelerated": {"iou": 0.9, "score": 0.05}}
# JSON has only finite numbers
NOT_NUMBERS = {"NaN": math.nan, "Infinity": math.inf}

Outputs = dict[str, np.ndarray]


def detection_cases() -> list[dict[str, Any]]:
    """Raw outputs and the size of an image; boxes in its pixels, or whether the outputs are invalid."""
    random = np.random.RandomState(1)
    corners = random.rand(6, 2).astype(np.float32)
    outputs = {
        "boxes": np.concatenate([corners, corners + random.rand(6, 2).astype(np.float32) * (1 - corners)], axis=1),
        "classes": random.randint(0, 3, 6).astype(np.float32),
        "scores": -np.sort(-random.rand(6)).astype(np.float32),
        "count": np.array([4], np.float32),
    }
    cases = [_case(outputs, height, width) for height, width in ((1, 1), (480, 640), (4000, 3000), (1, 7))]
    for count in (0, 6):
        cases.append(_case({**outputs, "count": np.array([count], np.float32)}, 375, 500))
    cases.append(_case({**outputs, "classes": outputs["classes"] + np.float32(1e-4)}, 375, 500))
    for name, row, value in (
        ("count", 0, 7),
        ("count", 0, -1),
        ("count", 0, math.nan),
        ("classes", 1, 3),
        ("classes", 1, -1),
        ("scores", 2, math.nan),
        ("boxes", 5, math.inf),
    ):
        changed = outputs[name].copy()
        changed[row] = value
        cases.append(_case({**outputs, name: changed}, 375, 500))
    return cases


def _case(outputs: Outputs, height: int, width: int) -> dict[str, Any]:
    raw = {name: _numbers(values) for name, values in outputs.items()}
    case = {"height": height, "width": width, "category_ids": CATEGORY_IDS, **raw}
    batch = {name: values[None] if name != "count" else values for name, values in outputs.items()}
    try:
        found = to_detections(Path("model.tflite"), batch, height, width, len(LABELS))
    except UserError:
        return {**case, "sound": False}
    return {
        **case,
        "sound": True,
        "boxes_xyxy": found.boxes_xyxy.tolist(),
        "labels": found.labels.tolist(),
        "found_scores": found.scores.tolist(),
        "found_category_ids": [CATEGORY_IDS[label] for label in found.labels],
    }


def _numbers(values: np.ndarray) -> Any:
    """Numbers in JSON; NaN and infinity as text."""
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    names = {str(value): name for name, value in NOT_NUMBERS.items()}
    return [names.get(str(value), value) for value in values.tolist()]


def shown_cases() -> list[dict[str, Any]]:
    """Shown detections: by a score, by thresholds of each class, or by neither."""
    # 0.7 is smaller in 32 bits than in 64, 0.3 is larger
    scores, labels = [0.9, 0.7, 0.5, 0.45, 0.40625, 0.3125, 0.3, 0.25, 0.125], [0, 1, 1, 2, 1, 0, 2, 2, 1]
    found = Detections(np.zeros((len(scores), 4), np.float32), np.array(scores, np.float32), np.array(labels))
    cases = []
    for thresholds in (None, [0.3125, 0.41, 0.2], [0.0, 1.0, 0.45], [0.9, 0.7, 0.3]):
        for least in (None, 0.0, 0.3, 0.4, 0.7, 0.95):
            point = None if thresholds is None else np.array(thresholds)
            from_score = least if least is not None else 0.3 if point is None else point
            kept = found.above(from_score).scores.tolist()
            shown = [place for place, score in enumerate(found.scores.tolist()) if score in kept]
            cases.append(
                {
                    "scores": found.scores.tolist(),
                    "labels": labels,
                    "thresholds": thresholds,
                    "least": least,
                    "shown": shown,
                }
            )
    return cases


def gate_cases() -> list[dict[str, Any]]:
    """Expected and found detections of golden inputs, boxes (x1, y1, x2, y2) as fractions; whether the gate opens."""
    random = np.random.RandomState(2)
    some = _random(random, 8)
    steady = dataclasses.replace(some, scores=np.linspace(0.95, 0.6, 8, dtype=np.float32))
    boxes, scores, labels = steady.boxes_xyxy, steady.scores, steady.labels
    order = random.permutation(8)
    shaken = boxes + random.uniform(-1e-4, 1e-4, boxes.shape).astype(np.float32)
    cut = np.array([0.9, 0.8, 0.7, 0.61, 0.6003, 0.6001], np.float32)
    edge = dataclasses.replace(_pick(steady, range(6)), scores=cut)
    cases = [
        _gate("the same", [steady], [steady]),
        _gate("in another order", [steady], [_pick(steady, order)]),
        _gate("rounded", [steady], [dataclasses.replace(steady, boxes_xyxy=shaken, scores=scores - np.float32(5e-4))]),
        _gate("two cases", [steady, _pick(steady, [0, 1])], [steady, _pick(steady, [1, 0])]),
        _gate("nothing in it", [Detections.empty()], [Detections.empty()]),
        _gate("nothing expected, one found", [Detections.empty()], [_pick(steady, [0])]),
        _gate(
            "another class", [steady], [dataclasses.replace(steady, labels=_changed(labels, 3, (labels[3] + 1) % 3))]
        ),
        _gate("another box", [steady], [dataclasses.replace(steady, boxes_xyxy=_changed(boxes, 3, boxes[3] + 0.1))]),
        _gate("another score", [steady], [dataclasses.replace(steady, scores=_changed(scores, 3, scores[3] - 0.1))]),
        _gate("one missing", [steady], [_pick(steady, range(1, 8))]),
        _gate("one invented", [_pick(steady, range(1, 8))], [steady]),
        _gate("nothing found", [steady], [Detections.empty()]),
        _gate("zeros", [steady], [dataclasses.replace(steady, scores=scores * 0)]),
        _gate("second case wrong", [steady, steady], [steady, _pick(steady, [0, 1])]),
        _gate("cut at the end of a full list", [_pick(edge, range(5))], [_pick(edge, [0, 1, 2, 3, 5])], rows=5),
        _gate("the same in a list with room", [_pick(edge, range(5))], [_pick(edge, [0, 1, 2, 3, 5])], rows=6),
        _gate("just above the lowest score", [edge], [_pick(edge, range(4))], lowest_score=0.6),
        _gate("twins", [_pick(steady, [0, 0])], [_pick(steady, [0])], rows=8),
        _gate("below the last candidate", [edge], [_pick(edge, range(4))], cut=0.6),
        _gate("invented below the last candidate", [_pick(edge, range(4))], [edge], cut=0.605),
        _gate("just one of two lists is cut", [_pick(edge, range(4)), edge], [_pick(edge, range(4)), edge], cut=0.6),
    ]
    near = dataclasses.replace(steady, scores=scores - np.float32(0.01))
    for accelerator in ("cpu", "xnnpack", "wasm", "interpreter", "gpu", "npu", "ane", "nnapi", "CPU", "replay", ""):
        cases.append(_gate(f"a hundredth off on {accelerator!r}", [steady], [near], accelerator=accelerator))
    weak = Detections(some.boxes_xyxy[:2], np.array([0.0108, 0.0104], np.float32), some.labels[:2])
    cases.append(_gate("one at the threshold is lost", [weak], [_pick(weak, [0])]))
    cases.append(_gate("all at the threshold are lost", [weak, weak], [Detections.empty(), Detections.empty()]))
    cases.append(_gate("all at the threshold are zero", [weak], [dataclasses.replace(weak, scores=weak.scores * 0)]))
    left = np.arange(40, dtype=np.float32)[:, None] * np.float32(0.025)
    row = np.concatenate([left, left * 0, left + np.float32(0.012), left * 0 + np.float32(0.5)], axis=1)
    fence = Detections(row, np.linspace(0.95, 0.6, 40, dtype=np.float32), np.zeros(40, np.int64))
    faint = dataclasses.replace(fence, scores=np.full(40, 0.0104, np.float32))
    for count in (20, 19):
        cases.append(_gate(f"{count} of 40 at the threshold are there", [faint], [_pick(faint, range(count))], rows=50))
    for count in (1, 2, 3):
        moved = row.copy()
        moved[:count, [1, 3]] += np.float32(0.16)  # overlaps its old place by about the threshold of suppression
        name = f"{count} of 40 suppressed differently"
        cases.append(_gate(name, [fence], [dataclasses.replace(fence, boxes_xyxy=moved)], rows=50))
    return cases


def _gate(
    name: str,
    expected: list[Detections],
    found: list[Detections],
    rows: int = 20,
    lowest_score: float = 0.01,
    cut: float = 0.0,
    accelerator: str = "xnnpack",
) -> dict[str, Any]:
    spec = ModelSpec(
        name="gate",
        backbone="none",
        detector="none",
        input=InputSpec(32, 32),
        labels=LABELS,
        category_ids=CATEGORY_IDS,
        nms=NmsSpec(iou=0.5, score=lowest_score, top_k=rows, max_detections=rows),
    )
    file = ModelFile("m.tflite", "tflite", "float32", 0, "")
    cases = (GoldenInput.of_pixels(np.zeros((32, 32, 3), np.uint8)),) * len(expected)
    outputs = tuple(GoldenOutputs.of(each, 1, 1, cut) for each in expected)
    tolerances = {name: Tolerance(**values) for name, values in TOLERANCES.items()}
    golden = Golden(cases, {file.path: GoldenFile(outputs, "none", **tolerances)})
    bundle, answers = Bundle(Path("gate"), Path("gate"), spec, (file,), golden), iter(found)
    case = {
        "name": name,
        "labels": LABELS,
        "nms": dataclasses.asdict(spec.nms),
        "tolerance": TOLERANCES,
        "accelerator": accelerator,
        "cut": max(cut, lowest_score),
        "expected": [_detections(e) for e in expected],
        "found": [_detections(f) for f in found],
    }
    try:
        report = replay_golden(bundle, file, accelerator, lambda case: next(answers))
    except UserError as error:
        return {
            **case,
            "opens": False,
            "problem": str(error).split("; golden case ")[1].split(": ", 1)[1].split("; its results")[0],
        }
    return {**case, "opens": True, "report": dataclasses.asdict(report)}


def _random(random: np.random.RandomState, count: int) -> Detections:
    corners = random.rand(count, 2)
    boxes = np.column_stack([corners, corners + random.uniform(0.05, 0.4, (count, 2))]).astype(np.float32)
    return Detections(boxes, np.ones(count, np.float32), random.randint(0, len(LABELS), count).astype(np.int64))


def _pick(found: Detections, rows: Any) -> Detections:
    index = np.array(list(rows), np.int64)
    return Detections(found.boxes_xyxy[index], found.scores[index], found.labels[index])


def _changed(values: np.ndarray, row: int, value: Any) -> np.ndarray:
    changed = values.copy()
    changed[row] = value
    return changed


def _detections(found: Detections) -> dict[str, Any]:
    return {
        "boxes_xyxy": found.boxes_xyxy.tolist(),
        "scores": found.scores.tolist(),
        "labels": found.labels.tolist(),
    }
