"""What is really on a picture, as scoring needs it: plain arrays, whatever the format of the annotations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ImageId = int | str  # the data set's own: an integer of any size, or a text


@dataclass(frozen=True, eq=False)
class Truth:
    """The annotated objects of one picture, N with the crowds.

    Attributes:
        boxes_xywh: N x 4 float64, (left, top, width, height) in pixels, as annotated; nothing is clipped.
        areas: N float64, square pixels; COCO's sizes small, medium and large are judged by them.
        labels: N int64, positions in the data set's class names.
        is_crowd: N bool; what a crowd covers counts neither as found nor as wrong.
    """

    boxes_xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    labels: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)
