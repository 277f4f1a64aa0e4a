"""Networks to choose among: every backbone with a published accuracy, at input shapes that fit the pictures."""

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

SIDES = (128, 160, 192, 256, 320, 416, 512, 640)  # of squares, and of squares of equal area
MULTIPLE = 32
WIDE = 1.25  # from this ratio of the sides of pictures on, inputs of their shape are looked at too
# A box of so many strides has half the chance of a large one to be found: NanoDet-Plus-m at 416 pixels on 128 pictures
# of val2017 gives 2.04 (benchmarks/found_by_size.py)
HALF_FOUND = 2.0


@dataclass(frozen=True)
class Candidate:
    """A network and a precision.

    Attributes:
        shape: the network.
        precision: of its file.
        forecast: latency and size.
        order: what it is preferred by: published accuracy of the backbone times ``seen``, 0..100; no mAP.
        seen: mean chance of the data's boxes to be found, by their size alone, 0..1.
        below_stride: share of boxes whose shorter side is below the finest stride.
    """

    shape: Shape
    precision: str
    forecast: Forecast
    order: float
    seen: float
    below_stride: float

    @property
    def size(self) -> str:
        """Of the input, as ``--image-size`` takes it."""
        return sides_text(self.shape.height, self.shape.width)


def input_sides(dataset: DetectionSet) -> list[tuple[int, int]]:
    """Height and width of the inputs to look at: squares, and rectangles of the pictures' usual shape."""
    ratio = float(np.median([image.width / image.height for image in dataset.images]))
    sides = [(side, side) for side in SIDES]
    if max(ratio, 1 / ratio) >= WIDE:
        sides += [(_multiple(side / ratio**0.5), _multiple(side * ratio**0.5)) for side in SIDES]
    return list(dict.fromkeys(sides))


def candidates(
    dataset: DetectionSet, models: dict[str, ForecastModel], detectors: Sequence[str]
) -> Iterator[Candidate]:
    """All of them.

    Args:
        dataset: whose boxes are to be found.
        models: forecasts, by precision.
        detectors: keys.

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
    """Mean chance of boxes to be found, compared with that of large ones; sides in strides of the finest level."""
    return float(np.mean(strides / (strides + HALF_FOUND)))


def frontier(found: Sequence[Candidate]) -> list[Candidate]:
    """Those to which no other is both faster and to be preferred; the fastest first."""
    best: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (c.forecast.ms, -c.order)):
        if not best or candidate.order > best[-1].order:
            best.append(candidate)
    return best


def _multiple(side: float) -> int:
    return max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE)
