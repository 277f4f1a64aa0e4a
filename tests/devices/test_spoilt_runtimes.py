"""Runtimes that are wrong in some way fail the golden gate, with a word about what is wrong; honest ones never do.

Wrong outputs are made of a crowd of candidates that is suppressed here, so that a wrong step shows as it would in a
model file. Wrong inputs go through a real .tflite detector of coloured squares in LiteRT.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.data.images import decode_rgb
from mobiledet.data.resize import resize
from mobiledet.detections import Detections
from mobiledet.devices.base import GoldenReport
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet.golden import Golden, GoldenCase, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance, pairwise_iou
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec

FILE = ModelFile("model.float32.tflite", "tflite", "float32", 0, "")
CPU, ACCELERATED = Tolerance(0.98, 2e-3), Tolerance(0.9, 0.05)
SPEC = ModelSpec("crowd", "none", "none", InputSpec(64, 64), ("a", "b", "c"), (1, 2, 3), NmsSpec())


@dataclass(frozen=True)
class Candidates:
    """Of one picture, before suppression: boxes N x 4 (x1, y1, x2, y2) as fractions, N logits, N labels."""

    boxes: np.ndarray
    logits: np.ndarray
    labels: np.ndarray


def crowd(seed: int, objects: int = 40) -> Candidates:
    """Objects on a shaken grid, each with six candidates of nearly one place, and much clutter of low scores."""
    random = np.random.default_rng(seed)
    places = random.permutation(100)[:objects]
    centres = np.stack((places % 10, places // 10), axis=1) / 10 + random.uniform(0.02, 0.08, (objects, 2))
    sizes = random.uniform(0.08, 0.16, (objects, 2))
    rows = np.repeat(np.arange(objects), 6)
    middle = centres[rows] + random.normal(0, 0.008, (len(rows), 2))
    size = sizes[rows] * random.normal(1, 0.08, (len(rows), 2))
    logits = np.repeat(random.uniform(-1, 4, objects), 6) + random.normal(-0.5, 0.7, len(rows))
    clutter = random.uniform(0, 0.9, (200, 2))
    boxes = np.concatenate((np.hstack((middle - size / 2, middle + size / 2)), np.hstack((clutter, clutter + 0.1))))
    labels = np.concatenate((random.integers(0, 3, objects)[rows], random.integers(0, 3, 200)))
    return Candidates(boxes, np.concatenate((logits, random.uniform(-7, -2.5, 200))), labels)


def suppress(candidates: Candidates, nms: NmsSpec = SPEC.nms) -> tuple[Detections, float]:
    """What a file makes of the candidates; and the score below which there was no room for more of them."""
    scores = 1 / (1 + np.exp(-candidates.logits))
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= nms.score]
    cut = float(np.float32(scores[order[nms.top_k - 1]])) if len(order) > nms.top_k else 0.0
    order = order[: nms.top_k]
    boxes, labels = candidates.boxes[order], candidates.labels[order]
    overlaps = (pairwise_iou(boxes, boxes) > nms.iou) & (labels[:, None] == labels)
    kept: list[int] = []
    suppressed = np.zeros(len(order), bool)
    for row in range(len(order)):
        if not suppressed[row]:
            kept.append(row)
            suppressed |= overlaps[row]
    kept = kept[: nms.max_detections]
    found = scores[order][kept].astype(np.float32)
    return Detections(boxes[kept].astype(np.float32), found, labels[kept]), min(cut, float(found.min(initial=1)))


@cache
def pictures(objects: int = 40) -> tuple[Candidates, ...]:
    return tuple(crowd(seed, objects) for seed in range(3))


def bundle_of(pairs: Sequence[tuple[Detections, float]]) -> Bundle:
    """A bundle whose file gives these."""
    outputs = tuple(GoldenOutputs.of(found, 1, 1, cut) for found, cut in pairs)
    cases = (GoldenInput.of_pixels(np.zeros((64, 64, 3), np.uint8)),) * len(outputs)
    golden = Golden(cases, {FILE.path: GoldenFile(outputs, "this test", CPU, ACCELERATED)})
    return Bundle(Path("crowd"), Path("crowd"), SPEC, (FILE,), golden)


def replay(expected: Sequence[tuple[Detections, float]], found: Sequence[Detections], accelerator: str) -> GoldenReport:
    answers = iter(found)
    return replay_golden(bundle_of(expected), FILE, accelerator, lambda case: next(answers))


Spoil = Callable[[list[Detections]], list[Detections]]


def boxes(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda found: [replace(each, boxes_xyxy=change(each.boxes_xyxy).astype(np.float32)) for each in found]


def scores(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda found: [replace(each, scores=change(each.scores).astype(np.float32)) for each in found]


def labels(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda found: [replace(each, labels=change(each.labels)) for each in found]


def rows(choose: Callable[[Detections], np.ndarray]) -> Spoil:
    return lambda found: [
        Detections(each.boxes_xyxy[choose(each)], each.scores[choose(each)], each.labels[choose(each)])
        for each in found
    ]


def remade(change: Callable[[Candidates], Candidates], nms: NmsSpec = SPEC.nms) -> Spoil:
    """What a file gives whose candidates are others, or that suppresses otherwise."""
    return lambda found: [suppress(change(each), nms)[0] for each in pictures()]


def stale(candidates: Candidates) -> Candidates:
    """The same objects, found by weights of another training."""
    random = np.random.default_rng(len(candidates.logits))
    return replace(
        candidates,
        boxes=candidates.boxes + random.normal(0, 0.01, candidates.boxes.shape),
        logits=candidates.logits + random.normal(0, 0.8, candidates.logits.shape),
    )


def logit(values: np.ndarray) -> np.ndarray:
    return np.log(values.astype(np.float64) / (1 - values.astype(np.float64)))


SPOILT_OUTPUTS: dict[str, tuple[Spoil, str]] = {
    "boxes xyxy for yxyx": (boxes(lambda b: b[:, [1, 0, 3, 2]]), "x and y of its boxes are swapped"),
    "boxes mirrored": (
        boxes(lambda b: np.stack((1 - b[:, 2], b[:, 1], 1 - b[:, 0], b[:, 3]), 1)),
        "mirrored horizontally",
    ),
    "boxes upside down": (
        boxes(lambda b: np.stack((b[:, 0], 1 - b[:, 3], b[:, 2], 1 - b[:, 1]), 1)),
        "mirrored vertically",
    ),
    "boxes in pixels": (boxes(lambda b: b * 64), "in pixels of the input"),
    "boxes centre and size": (
        boxes(lambda b: np.hstack(((b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]))),
        "centre and size",
    ),
    "boxes corner and size": (boxes(lambda b: np.hstack((b[:, :2], b[:, 2:] - b[:, :2]))), "corner and size"),
    "boxes half as large": (boxes(lambda b: b / 2), "half as large"),
    "boxes two pixels to the right": (
        boxes(lambda b: b + np.array([1 / 32, 0] * 2)),
        r"shifted by \(\+0\.031, \+0\.000\)",
    ),
    "boxes a quarter of their size down": (
        boxes(lambda b: b + np.array([0, 0.03] * 2)),
        r"shifted by \(\+0\.000, \+0\.030",
    ),
    "classes shifted by one": (labels(lambda c: (c + 1) % 3), "shifted by|its classes are wrong"),
    "classes one lower": (labels(lambda c: np.maximum(c - 1, 0)), "shifted by -1|its classes are wrong"),
    "classes all zero": (labels(lambda c: c * 0), "every class is 0"),
    "two classes swapped": (labels(lambda c: np.array([2, 1, 0])[c]), "channels swapped, or another list of labels"),
    "scores zero": (scores(lambda s: s * 0), "all scores are zero"),
    "scores halved": (scores(lambda s: s / 2), "scores are 0.5 times as high"),
    "scores without a sigmoid": (scores(logit), "sigmoid is not applied"),
    "scores through two sigmoids": (scores(lambda s: 1 / (1 + np.exp(-s))), "sigmoid is applied to its scores twice"),
    "scores squared": (scores(np.square), "its scores are wrong"),
    "suppression off": (remade(lambda c: c, replace(SPEC.nms, iou=0.999)), "duplicate boxes are not suppressed"),
    "suppression at a lower overlap": (remade(lambda c: c, replace(SPEC.nms, iou=0.1)), "detections are missing"),
    "half of the detections lost": (rows(lambda f: np.arange(0, len(f), 2)), r"\d+ of \d+ detections are missing"),
    "the list cut short": (rows(lambda f: np.arange(20)), "its list is truncated"),
    "only the best detection": (rows(lambda f: np.arange(1)), "only the best detection of each image"),
    "every detection twice": (rows(lambda f: np.repeat(np.arange(len(f)), 2)), "duplicate boxes are not suppressed"),
    "nothing": (rows(lambda f: np.arange(0)), "detects nothing at all"),
    "the detections of another image": (
        lambda found: [found[1], found[1], found[2]],
        "for case 0 it returns the detections of case 1",
    ),
    "cases in another order": (lambda found: [found[1], found[2], found[0]], "in another order"),
    "the detections of unknown images": (
        lambda found: [suppress(crowd(seed + 50))[0] for seed in range(3)],
        "it runs on another image|it preprocesses images differently",
    ),
    "a stale file": (remade(stale), "runs other weights"),
    "half of the anchors lost": (
        remade(
            lambda c: Candidates(
                c.boxes[: len(c.boxes) // 3], c.logits[: len(c.boxes) // 3], c.labels[: len(c.boxes) // 3]
            )
        ),
        "detections are missing|other weights",
    ),
}


@pytest.mark.parametrize("accelerator", ["xnnpack", "gpu"])
@pytest.mark.parametrize("name", SPOILT_OUTPUTS)
def test_wrong_outputs_are_diagnosed(name: str, accelerator: str) -> None:
    spoil, word = SPOILT_OUTPUTS[name]
    expected = [suppress(each) for each in pictures()]
    with pytest.raises(
        UserError, match=rf"does not reproduce the outputs of model\.float32\.tflite: .*({word}).*; golden case "
    ):
        replay(expected, spoil([found for found, _ in expected]), accelerator)


def rounded(candidates: Candidates, seed: int) -> Candidates:
    """As a GPU with numbers of 16 bits would have them."""
    random = np.random.default_rng(seed)
    logits = candidates.logits + random.normal(0, 2e-3, candidates.logits.shape)
    places = candidates.boxes + random.normal(0, 3e-4, candidates.boxes.shape)
    return replace(
        candidates, boxes=places.astype(np.float16).astype(float), logits=logits.astype(np.float16).astype(float)
    )


@pytest.mark.parametrize("objects", [1, 5, 40, 100])
def test_honest_runtimes_are_never_refused(objects: int) -> None:
    """From one object a picture to 100, whose candidates have no room; other last digits, and numbers of 16 bits."""
    for seed in range(4):
        scenes = [crowd(1000 * seed + case, objects) for case in range(3)]
        expected = [suppress(each) for each in scenes]
        random = np.random.default_rng(seed)
        digits = [
            replace(each, boxes=each.boxes + random.normal(0, 1e-6, each.boxes.shape), logits=each.logits * (1 + 1e-7))
            for each in scenes
        ]
        assert replay(expected, [suppress(each)[0] for each in digits], "xnnpack").lowest_iou > 0.999
        report = replay(expected, [suppress(rounded(each, seed))[0] for each in scenes], "gpu")
        assert report.detections == sum(len(found) for found, _ in expected)


def test_ties_may_come_in_another_order_and_scores_at_the_threshold_fall_out() -> None:
    found, _ = suppress(pictures()[0])
    tied = replace(found, scores=np.round(found.scores, 1))
    backwards = Detections(tied.boxes_xyxy[::-1], tied.scores[::-1], tied.labels[::-1])
    assert replay([(tied, 0.0)], [backwards], "cpu").largest_score_difference == 0
    low = replace(found, scores=np.where(np.arange(len(found)) < 5, np.float32(0.0105), found.scores))
    fewer = Detections(low.boxes_xyxy[5:], low.scores[5:], low.labels[5:])
    replay([(low, 0.0)], [fewer], "cpu")
    replay([(fewer, 0.0)], [low], "cpu")


@pytest.fixture(scope="module")
def detector(patch_files: Path) -> LiteRtDetector:
    """Of coloured squares, in LiteRT."""
    return LiteRtDetector(patch_files / "patch.tflite", "cpu")


def squares(seed: int, height: int, width: int) -> np.ndarray:
    """A picture whose squares and background are noisy, so that every way to resize it gives other means."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 60, (height, width, 3))
    for place in random.choice(64, 10, replace=False):
        top, left = (place // 8) * height // 8, (place % 8) * width // 8
        area = (slice(top, top + height // 8), slice(left, left + width // 8), random.integers(3))
        image[area] = random.integers(100, 250, image[area].shape)
    return image.astype(np.uint8)


def look(detector: LiteRtDetector, pixels: np.ndarray) -> Detections:
    detector.set_input(pixels)
    detector.invoke()
    return detector.detections(1, 1, 3)


@pytest.fixture(scope="module")
def square_bundle(detector: LiteRtDetector) -> Bundle:
    """Two inputs of the model and one picture of another size."""
    spec = replace(SPEC, nms=NmsSpec(score=0.5, top_k=20, max_detections=20))
    cases = [GoldenInput.of_pixels(squares(seed, 64, 64)) for seed in (1, 2)]
    cases.append(GoldenInput.of_image(squares(3, 160, 208)))
    outputs = tuple(GoldenOutputs.of(look(detector, case.pixels(spec)), 1, 1) for case in cases)
    golden = Golden(tuple(cases), {FILE.path: GoldenFile(outputs, "litert", CPU, ACCELERATED)})
    return Bundle(Path("squares"), Path("squares"), spec, (FILE,), golden)


def letterboxed(rgb: np.ndarray) -> np.ndarray:
    scale = 64 / max(rgb.shape[:2])
    small = resize(rgb, round(rgb.shape[0] * scale), round(rgb.shape[1] * scale))
    image = np.zeros((64, 64, 3), np.uint8)
    image[: small.shape[0], : small.shape[1]] = small
    return image


def resized_by(rule: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rgb: np.asarray(cv2.resize(rgb, (64, 64), interpolation=rule))


def stretched(rgb: np.ndarray) -> np.ndarray:
    return resize(np.ascontiguousarray(rgb), 64, 64)


Pixels = Callable[[np.ndarray], np.ndarray]
SPOILT_INPUTS: dict[str, tuple[Pixels, str]] = {
    "BGR for RGB": (lambda image: image[..., ::-1], "channels swapped"),
    "another normalisation": (lambda image: image * 0.85, "its scores are|prepared otherwise"),
    "pixels in 0..1": (lambda image: image / 255, "detects nothing at all"),
    "pixels in -1..1": (lambda image: image / 127.5 - 1, "detects nothing at all"),
    "grey": (
        lambda image: image.mean(axis=2, keepdims=True).repeat(3, axis=2),
        "detects nothing at all|preprocesses images differently",
    ),
    "rotated by 90 degrees": (np.rot90, "rotated (anti)?clockwise by 90 degrees"),
    "mirrored": (lambda image: image[:, ::-1], "mirrored"),
    "planes for pixels": (
        lambda image: image.transpose(2, 0, 1).reshape(64, 64, 3),
        "detects nothing|differently|missing",
    ),
    "rows shifted by a pixel": (lambda image: np.roll(image, 1, axis=0), "its scores|preprocesses images differently"),
}
SPOILT_DECODERS: dict[str, Pixels] = {
    "nearest": resized_by(cv2.INTER_NEAREST),
    "box-averaged": resized_by(cv2.INTER_AREA),
    "bicubic": resized_by(cv2.INTER_CUBIC),
    "corners aligned": lambda rgb: cv2.remap(
        rgb,
        *np.meshgrid(np.linspace(0, 207, 64, dtype=np.float32), np.linspace(0, 159, 64, dtype=np.float32)),
        cv2.INTER_LINEAR,
    ),
    "letterboxed": letterboxed,
    "cropped": lambda rgb: stretched(rgb[:, 24:184]),
    "turned as an EXIF tag would say": lambda rgb: stretched(np.rot90(rgb)),
    "BGR while decoding": lambda rgb: stretched(rgb[..., ::-1]),
    "another gamma": lambda rgb: stretched((255 * (rgb / 255.0) ** 0.9).astype(np.uint8)),
}


@pytest.mark.parametrize("accelerator", ["xnnpack", "gpu"])
@pytest.mark.parametrize("name", SPOILT_INPUTS)
def test_wrong_inputs_are_diagnosed(
    name: str, accelerator: str, detector: LiteRtDetector, square_bundle: Bundle
) -> None:
    spoil, word = SPOILT_INPUTS[name]
    with pytest.raises(UserError, match=rf"tflite: .*({word}).*; golden case "):
        replay_golden(square_bundle, FILE, accelerator, lambda case: look(detector, spoil(case.image)))


@pytest.mark.parametrize("name", SPOILT_DECODERS)
def test_wrong_decoding_and_resizing_are_diagnosed(name: str, detector: LiteRtDetector, square_bundle: Bundle) -> None:
    """Cases with prepared inputs pass; only the encoded image fails."""

    def detect(case: GoldenCase) -> Detections:
        pixels = SPOILT_DECODERS[name](decode_rgb(case.encoded, "x")) if case.encoded else case.image
        return look(detector, pixels)

    with pytest.raises(UserError, match=r"tflite: it decodes or resizes images differently \(.*\); golden case 2: "):
        replay_golden(square_bundle, FILE, "xnnpack", detect)


def test_the_right_decoder_passes(detector: LiteRtDetector, square_bundle: Bundle) -> None:
    def detect(case: GoldenCase) -> Detections:
        return look(detector, stretched(decode_rgb(case.encoded, "x")) if case.encoded else case.image)

    report = replay_golden(square_bundle, FILE, "xnnpack", detect)
    assert (report.cases, report.lowest_iou) == (3, 1)
    assert report.detections > 20
