"""Finds suspicious labels: boxes that are valid but probably wrong."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet, LabelledImage

TINY = 4.0  # shorter side in pixels of the image
HUGE = 0.95  # fraction of the image
BEYOND = 0.01  # pixels
SLENDER = 20.0  # longer side over shorter
SAME_PLACE = 0.9  # IoU

KINDS = {
    "tiny": f"shorter side below {TINY:g} pixels of the image",
    "huge": f"covers more than {HUGE:.0%} of the image",
    "beyond": "extends beyond the image, by less than a pixel",
    "slender": f"more than {SLENDER:g} times as long as wide",
    "two classes": f"overlaps a box of another class by an IoU above {SAME_PLACE:g}",
    "two boxes": f"overlaps another box of its class by an IoU above {SAME_PLACE:g}",
    "seen once": "the only box of its class",
}


@dataclass(frozen=True)
class Suspicion:
    """A box that a person should check.

    Attributes:
        kind: a key of ``KINDS``.
        part, image, box: index of the split, of the image in the split, and of the box among those without crowds.
    """

    kind: str
    part: int
    image: int
    box: int


def suspicions(parts: list[DetectionSet]) -> list[Suspicion]:
    """All suspicious boxes of the splits, in the order of ``KINDS``."""
    totals: dict[str, int] = {}
    for part in parts:
        for name, count in zip(part.labels, part.objects, strict=True):
            totals[name] = totals.get(name, 0) + count
    found = [
        Suspicion(kind, place, index, int(box))
        for place, part in enumerate(parts)
        for index, image in enumerate(part.images)
        for kind, boxes in _of_image(image, {k for k, name in enumerate(part.labels) if totals[name] == 1})
        for box in boxes
    ]
    order = list(KINDS)
    return sorted(found, key=lambda suspicion: order.index(suspicion.kind))


def _of_image(image: LabelledImage, lonely: set[int]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    boxes, labels = image.boxes_xyxy.astype(np.float64), image.labels
    if not len(labels):
        return
    sides = boxes[:, 2:] - boxes[:, :2]
    yield "tiny", np.flatnonzero(sides.min(axis=1) < TINY)
    yield "huge", np.flatnonzero(sides.prod(axis=1) > HUGE * image.width * image.height)
    raw = image.truth.boxes_xywh[~image.truth.is_crowd]
    corners = np.concatenate((raw[:, :2], raw[:, :2] + raw[:, 2:]), axis=1)
    yield "beyond", np.flatnonzero((np.abs(corners - boxes) > BEYOND).any(axis=1))
    yield "slender", np.flatnonzero(sides.max(axis=1) > SLENDER * sides.min(axis=1))
    if len(labels) > 1:
        first, second = np.nonzero(np.triu(_iou(boxes) > SAME_PLACE, 1))
        other = labels[first] != labels[second]
        yield "two classes", first[other]
        yield "two boxes", first[~other]
    yield "seen once", np.flatnonzero([label in lonely for label in labels.tolist()])


def _iou(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(common / np.maximum(areas[:, None] + areas[None] - common, 1e-9))
