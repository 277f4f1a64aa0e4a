"""Candidate networks: every backbone with a published accuracy, at input shapes that suit the images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.backbones import BACKBONES
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.summary import shorter_sides
from mobiledet.planning.costs import costs_of
from mobiledet.planning.forecast import Forecast, ForecastModel
from mobiledet.profile.latency_table import Shape
from mobiledet.spec import InputSpec, sides_text

SIDES = (128, 160, 192, 256, 320, 416, 512, 640)  # of square inputs; rectangular ones have the same areas
MULTIPLE = 32
WIDE = 1.25  # aspect ratio of the images from which on inputs of their shape are considered, too
# Size of a box in strides at which it is detected half as often as a large one: NanoDet-Plus-m at 416 pixels on 128
# images of val2017 gives 2.04 (benchmarks/found_by_size.py)
HALF_DETECTED = 2.0


@dataclass(frozen=True)
class Candidate:
    """A network and a precision.

    Attributes:
        shape: the network.
        precision: precision of its file.
        forecast: predicted latency and size.
        order: ranking score: published accuracy of the backbone times ``seen``, 0..100; not an mAP.
        seen: mean detection rate of the boxes, predicted from their sizes alone, 0..1.
        below_stride: fraction of boxes whose shorter side is below the finest stride.
    """

    shape: Shape
    precision: str
    forecast: Forecast
    order: float
    seen: float
    below_stride: float

    @property
    def size(self) -> str:
        """Input size in the format of ``--image-size``."""
        return sides_text(self.shape.height, self.shape.width)


def input_sides(dataset: DetectionSet) -> list[tuple[int, int]]:
    """Height and width of the inputs to consider: squares, and rectangles of the images' median aspect ratio."""
    ratio = float(np.median([image.width / image.height for image in dataset.images]))
    sides = [(side, side) for side in SIDES]
    if max(ratio, 1 / ratio) >= WIDE:
        sides += [(_multiple(side / ratio**0.5), _multiple(side * ratio**0.5)) for side in SIDES]
    return list(dict.fromkeys(sides))


def candidates(
    dataset: DetectionSet, models: dict[str, ForecastModel], detectors: Sequence[str]
) -> Iterator[Candidate]:
    """Generate all candidates.

    Args:
        dataset: data set with the boxes to detect.
        models: forecast models by precision.
        detectors: names of detectors.

    Raises:
        UserError: a detector is unknown.
    """
    classes = len(dataset.labels)
    for height, width in input_sides(dataset):
        boxes = shorter_sides(dataset, InputSpec(height, width))
        for detector in detectors:
            for backbone in BACKBONES:
                shape = Shape(backbone, detector, height, width, classes)
                costs = costs_of(shape)
                if costs.top1 is None:
                    continue
                seen = chance_by_size(boxes / costs.finest_stride)
                below = float(np.mean(boxes < costs.finest_stride))
                for precision, model in models.items():
                    yield Candidate(shape, precision, model(shape), costs.top1 * seen, seen, below)


def chance_by_size(strides: NDArray[np.float64]) -> float:
    """Mean detection rate of boxes relative to that of large ones; sides in strides of the finest level."""
    return float(np.mean(strides / (strides + HALF_DETECTED)))


def frontier(found: Sequence[Candidate]) -> list[Candidate]:
    """The Pareto frontier: candidates to which no other is both faster and ranked higher; the fastest first."""
    best: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (c.forecast.ms, -c.order)):
        if not best or candidate.order > best[-1].order:
            best.append(candidate)
    return best


def _multiple(side: float) -> int:
    return max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE)
