"""The export's gate on a table of spoilt files: all are refused, in a crowd and where objects are few, and whatever a
sound file of a precision does is not. Detections are drawn; what quantisation does to them was measured on real ones.
"""

from collections.abc import Callable

import numpy as np
import pytest

from mobiledet.detections import Detections
from mobiledet.spec import NmsSpec
from mobiledet_converters.parity import ParityReport, compare, problem
from mobiledet_converters.precisions import PRECISIONS, Gate

SIDE, CLASSES, IMAGES = 320, 3, 8
NMS = NmsSpec()
Spoil = Callable[[list[Detections], np.random.Generator], list[Detections]]


def scene(count: int, rng: np.random.Generator) -> Detections:
    """Objects that do not overlap, each with a confident box, and as many faint ones beside them."""
    cells = rng.permutation(64)[:count]
    corner = np.stack((cells % 8, cells // 8), axis=1) * 40.0 + rng.uniform(0, 8, (count, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(12, 30, (count, 2))), axis=1)
    scores = np.concatenate((rng.uniform(0.4, 0.95, count), rng.uniform(0.02, 0.2, count)))
    beside = boxes + np.tile(rng.uniform(8, 14, (count, 2)), 2)
    labels = rng.integers(0, CLASSES, count)
    return ordered(np.concatenate((boxes, beside)), scores, np.tile(labels, 2))


def ordered(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> Detections:
    """At most so many as a file has rows, best score first, those below the threshold dropped."""
    scores = scores.astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= NMS.score][: NMS.max_detections]
    return Detections(boxes[order].astype(np.float32), scores[order], labels[order].astype(np.int64))


def scenes(count: int, seed: int = 0) -> list[Detections]:
    rng = np.random.default_rng(seed)
    return [scene(count, rng) for _ in range(IMAGES)]


def each(change: Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], tuple]) -> Spoil:
    """A change of boxes (xyxy in pixels), scores and labels of every image."""

    def spoil(found: list[Detections], rng: np.random.Generator) -> list[Detections]:
        return [ordered(*change(f.boxes_xyxy.copy(), f.scores.copy(), f.labels.copy(), rng)) for f in found]

    return spoil


def kept(which: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Spoil:
    """Only the detections for which ``which`` of boxes and scores holds."""

    def spoil(found: list[Detections], rng: np.random.Generator) -> list[Detections]:
        return [
            ordered(*(values[which(f.boxes_xyxy, f.scores)] for values in (f.boxes_xyxy, f.scores, f.labels)))
            for f in found
        ]

    return spoil


def noise(box: float, score: float) -> Spoil:
    """Sides off by so much of the box, scores by so much; both as standard deviations."""

    def change(boxes, scores, labels, rng):  # type: ignore[no-untyped-def]
        sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + rng.normal(0, box, boxes.shape) * sizes
        return boxes, np.clip(scores * (1 + rng.normal(0, score, len(scores))), 0, 1), labels

    return each(change)


def without_suppression(boxes, scores, labels, rng):  # type: ignore[no-untyped-def]
    moved = [boxes + np.tile(rng.normal(0, 1.5, (len(boxes), 2)), 2) for _ in range(3)]
    fainter = [scores * factor for factor in (0.95, 0.9, 0.85)]
    return np.concatenate((boxes, *moved)), np.concatenate((scores, *fainter)), np.tile(labels, 4)


def stale(boxes, scores, labels, rng):  # type: ignore[no-untyped-def]
    """Of an earlier epoch: everything a little different, a fifth of the objects not known yet."""
    boxes, scores, labels = noise_arrays(boxes, scores, labels, rng, 0.12, 0.3)
    return boxes, np.where(rng.random(len(scores)) < 0.25, scores * 0.2, scores), labels


def noise_arrays(boxes, scores, labels, rng, box, score):  # type: ignore[no-untyped-def]
    (found,) = noise(box, score)([Detections(boxes, scores, labels)], rng)
    return found.boxes_xyxy, found.scores, found.labels


def wrong_colours(boxes, scores, labels, rng):  # type: ignore[no-untyped-def]
    """Channels swapped: most objects are still seen, as something else or hardly."""
    labels = np.where(rng.random(len(labels)) < 0.4, (labels + 1) % CLASSES, labels)
    return boxes, scores * rng.uniform(0.2, 1, len(scores)), labels


SPOILT: dict[str, Spoil] = {
    "weights of another training": lambda found, rng: scenes(len(found[0]) // 2, seed=99),
    "an earlier epoch": each(stale),
    "channels swapped": each(wrong_colours),
    "another normalisation": each(lambda b, s, c, rng: (b, s**3, c)),
    "a layer of the box head with a wrong scale": each(
        lambda b, s, c, rng: (np.concatenate((b[:, :2], b[:, :2] + 1.3 * (b[:, 2:] - b[:, :2])), axis=1), s, c)
    ),
    "a layer of the class head with a wrong scale": each(lambda b, s, c, rng: (b, s**0.3, c)),
    "boxes xyxy for yxyx": each(lambda b, s, c, rng: (b[:, [1, 0, 3, 2]], s, c)),
    "boxes as centre and size": each(
        lambda b, s, c, rng: (np.concatenate(((b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]), axis=1), s, c)
    ),
    "boxes as fractions": each(lambda b, s, c, rng: (b / SIDE, s, c)),
    "boxes shifted by half a cell": each(lambda b, s, c, rng: (b + 4, s, c)),
    "boxes 10 % too large": each(
        lambda b, s, c, rng: (b + np.concatenate((b[:, :2] - b[:, 2:], b[:, 2:] - b[:, :2]), axis=1) * 0.05, s, c)
    ),
    "mirrored": each(lambda b, s, c, rng: (np.stack((SIDE - b[:, 2], b[:, 1], SIDE - b[:, 0], b[:, 3]), 1), s, c)),
    "classes shifted by one": each(lambda b, s, c, rng: (b, s, (c + 1) % CLASSES)),
    "one class for all": each(lambda b, s, c, rng: (b, s, np.zeros_like(c))),
    "two classes in each other's place": each(lambda b, s, c, rng: (b, s, np.array([0, 2, 1])[c])),
    "half of the anchors lost": kept(lambda b, s: np.arange(len(s)) % 2 == 0),
    "one level of the pyramid lost": kept(lambda b, s: (b[:, 2] - b[:, 0]) < 21),
    "the right half of the image lost": kept(lambda b, s: b[:, 0] < SIDE / 2),
    "suppression off": each(without_suppression),
    "the best detection alone": kept(lambda b, s: s == s.max()),
    "nothing found": kept(lambda b, s: s > 1),
    "scores halved": each(lambda b, s, c, rng: (b, s / 2, c)),
    "scores twice through a sigmoid": each(lambda b, s, c, rng: (b, 1 / (1 + np.exp(-s)), c)),
    "scores all one": each(lambda b, s, c, rng: (b, np.ones_like(s), c)),
    "scores and boxes of one quantised tensor": each(lambda b, s, c, rng: (b, np.round(s * 2) / 2, c)),
    "another image's answer": lambda found, rng: found[1:] + found[:1],
    "noise as of four bits": noise(0.2, 0.5),
}

# standard deviations of sides and scores, twice those of the blood cells' files
SOUND = {
    ("tflite", "float32"): (1e-6, 1e-6),
    ("tflite", "float16"): (2e-4, 4e-4),
    ("tflite", "int8-weights"): (8e-3, 0.01),
    ("tflite", "int8"): (0.03, 0.05),
    ("tflite", "int16x8"): (8e-3, 0.01),
    ("coreml", "float32"): (1e-6, 1e-6),
    ("coreml", "float16"): (5e-4, 1e-3),
    ("coreml", "int8"): (8e-3, 0.01),
    ("coreml", "palette6"): (0.03, 0.05),
    ("coreml", "w8a8"): (0.03, 0.05),
}


GATES = {precision.gate for table in PRECISIONS.values() for precision in table.values()}


def gate_of(format: str, precision: str) -> Gate:
    return PRECISIONS[format][precision].gate


def report_of(expected: list[Detections], found: list[Detections], gate: Gate) -> ParityReport:
    return compare(expected, found, [NMS.score] * len(expected), NMS, gate)


@pytest.mark.parametrize("count", [3, 12, 40], ids=["few objects", "some objects", "a crowd"])
@pytest.mark.parametrize("kind", SPOILT)
def test_spoilt_files_are_refused_in_every_precision(kind: str, count: int) -> None:
    expected = scenes(count)
    for seed in range(2):
        found = SPOILT[kind](expected, np.random.default_rng(seed))
        for gate in GATES:
            assert problem(report_of(expected, found, gate), gate), (gate, seed)


@pytest.mark.parametrize("count", [1, 3, 12, 40])
@pytest.mark.parametrize(("format", "precision"), SOUND)
def test_sound_files_pass(format: str, precision: str, count: int) -> None:
    gate = gate_of(format, precision)
    for seed in range(5):
        expected = scenes(count, seed)
        found = noise(*SOUND[format, precision])(expected, np.random.default_rng(seed))
        assert not problem(report_of(expected, found, gate), gate), seed
