"""Where a picture lies in a model's input, and its boxes with it: the one place where boxes change between the two.

``stretch``: the picture fills the input. ``letterbox``: it keeps its shape. The side that is larger in proportion to
the input's fills it; the other one is scaled by as much and rounded to whole pixels, halves up, at least 1. What is
left over is padding: to the right and below (``top-left``), or on both sides, the odd pixel to the right or below
(``centre``). Whole numbers alone decide, so that every language finds the same. No torch.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections
from mobiledet.spec import InputSpec


class Placement(NamedTuple):
    """A picture in a model's input.

    Attributes:
        picture_height, picture_width: pixels of the picture in full.
        top, left, height, width: the part of the input that shows it, in pixels of the input.
        input_height, input_width: pixels.
        is_padded: whether anything else may be in the input, so that boxes can reach out of the picture.
    """

    picture_height: float
    picture_width: float
    top: int
    left: int
    height: int
    width: int
    input_height: int
    input_width: int
    is_padded: bool

    @classmethod
    def of(cls, height: float, width: float, spec: InputSpec) -> "Placement":
        """That of a picture of height x width; they may be those of a shortened one, in parts of pixels."""
        whole = spec.height, spec.width
        if spec.resize == "stretch":
            return cls(height, width, 0, 0, *whole, *whole, False)
        inside = _inside(height, width, *whole)
        spare = whole[0] - inside[0], whole[1] - inside[1]
        corner = (spare[0] // 2, spare[1] // 2) if spec.placement == "centre" else (0, 0)
        return cls(height, width, *corner, *inside, *whole, True)

    @property
    def scale(self) -> tuple[float, float]:
        """By which widths and heights of the picture change."""
        return self.width / self.picture_width, self.height / self.picture_height

    def to_input(self, boxes_xyxy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Boxes in pixels of the picture to boxes in pixels of the input, N x 4."""
        return np.asarray(boxes_xyxy * (self.scale * 2) + self._corner, np.float32)

    def to_picture(self, found: Detections) -> Detections:
        """Boxes as fractions of the input to boxes in pixels of the picture, which may reach out of it."""
        picture = np.array((self.picture_width, self.picture_height) * 2, np.float64)
        part = np.array((self.width, self.height) * 2)
        scale = picture * (self.input_width, self.input_height, self.input_width, self.input_height) / part
        return _with_boxes(found, found.boxes_xyxy * scale - picture * self._corner / part)

    def from_picture(self, found: Detections) -> Detections:
        """The inverse of ``to_picture``."""
        size = np.array((self.input_width, self.input_height) * 2)
        return _with_boxes(found, self.to_input(found.boxes_xyxy.astype(np.float64)) / size)

    def visible(self, found: Detections) -> Detections:
        """What ``to_picture`` gave, cut to the picture; what lies in the padding alone is left out.

        Where there is no padding, nothing is changed.
        """
        if not self.is_padded:
            return found
        boxes = np.clip(found.boxes_xyxy, 0, np.array((self.picture_width, self.picture_height) * 2, np.float32))
        kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Detections(boxes[kept], found.scores[kept], found.labels[kept])

    @property
    def _corner(self) -> NDArray[np.float64]:
        return np.array((self.left, self.top) * 2, np.float64)


def _inside(height: float, width: float, input_height: int, input_width: int) -> tuple[int, int]:
    """Height and width of the largest picture of that shape in the input."""
    if width * input_height >= height * input_width:
        return max(1, _rounded(height * input_width, width)), input_width
    return input_height, max(1, _rounded(width * input_height, height))


def _rounded(dividend: float, divisor: float) -> int:
    """Of the quotient, halves up; exact, also in parts of pixels that are powers of two."""
    return int((2 * dividend + divisor) // (2 * divisor))


def _with_boxes(found: Detections, boxes_xyxy: NDArray[np.floating]) -> Detections:
    return dataclasses.replace(found, boxes_xyxy=boxes_xyxy.astype(np.float32))
