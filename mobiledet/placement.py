"""The position of an image in a model's input, and the conversion of boxes between the two. Imports no torch.

``stretch``: the image fills the input. ``letterbox``: the image keeps its aspect ratio. The side that is larger
relative to the input's fills it; the other is scaled by the same factor and rounded to whole pixels, halves up, at
least 1. The
rest is padding: to the right and below (``top-left``), or on both sides, with an odd pixel to the right or below
(``centre``). Only integer arithmetic is used, so that all languages get the same result.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections
from mobiledet.spec import InputSpec


class Placement(NamedTuple):
    """The position of an image in a model's input.

    Attributes:
        image_height, image_width: size of the image in pixels.
        top, left, height, width: the part of the input that shows the image, in pixels of the input.
        input_height, input_width: size of the input in pixels.
        is_padded: whether the input is a letterbox, so that boxes may extend beyond the image.
    """

    image_height: float
    image_width: float
    top: int
    left: int
    height: int
    width: int
    input_height: int
    input_width: int
    is_padded: bool

    @classmethod
    def of(cls, height: float, width: float, spec: InputSpec) -> "Placement":
        """The placement of an image of height x width, which may be fractions for a reduced image."""
        whole = spec.height, spec.width
        if spec.resize == "stretch":
            return cls(height, width, 0, 0, *whole, *whole, False)
        inside = _inside(height, width, *whole)
        spare = whole[0] - inside[0], whole[1] - inside[1]
        corner = (spare[0] // 2, spare[1] // 2) if spec.placement == "centre" else (0, 0)
        return cls(height, width, *corner, *inside, *whole, True)

    @property
    def scale(self) -> tuple[float, float]:
        """The factors from the image's width and height to those in the input."""
        return self.width / self.image_width, self.height / self.image_height

    def to_input(self, boxes_xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Convert boxes from pixels of the image to pixels of the input, N x 4."""
        return np.asarray(boxes_xyxy * (self.scale * 2) + self._corner, np.float32)

    def to_image(self, found: Detections) -> Detections:
        """Convert boxes from fractions of the input to pixels of the image; they may extend beyond the image."""
        size = np.array((self.image_width, self.image_height) * 2, np.float64)
        part = np.array((self.width, self.height) * 2)
        scale = size * (self.input_width, self.input_height, self.input_width, self.input_height) / part
        return _with_boxes(found, found.boxes_xyxy * scale - size * self._corner / part)

    def from_image(self, found: Detections) -> Detections:
        """The inverse of ``to_image``."""
        size = np.array((self.input_width, self.input_height) * 2)
        return _with_boxes(found, self.to_input(found.boxes_xyxy.astype(np.float64)) / size)

    def visible(self, found: Detections) -> Detections:
        """Clip the result of ``to_image`` to the image; detections entirely in the padding are dropped.

        Without padding nothing is changed.
        """
        if not self.is_padded:
            return found
        boxes = np.clip(found.boxes_xyxy, 0, np.array((self.image_width, self.image_height) * 2, np.float32))
        kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Detections(boxes[kept], found.scores[kept], found.labels[kept])

    @property
    def _corner(self) -> NDArray[np.float64]:
        return np.array((self.left, self.top) * 2, np.float64)


def _inside(height: float, width: float, input_height: int, input_width: int) -> tuple[int, int]:
    """Height and width of the largest image of this aspect ratio that the input can hold."""
    if width * input_height >= height * input_width:
        return max(1, _rounded(height * input_width, width)), input_width
    return input_height, max(1, _rounded(width * input_height, height))


def _rounded(dividend: float, divisor: float) -> int:
    """The quotient rounded, halves up; exact, also for fractions of pixels with a power of two as denominator."""
    return int((2 * dividend + divisor) // (2 * divisor))


def _with_boxes(found: Detections, boxes_xyxy: NDArray[np.floating]) -> Detections:
    return dataclasses.replace(found, boxes_xyxy=boxes_xyxy.astype(np.float32))
