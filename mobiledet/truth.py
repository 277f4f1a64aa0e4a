"""Ground truth of an image as plain arrays, independent of the format of the annotations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ImageId = int | str  # the id in the data set: an integer of any size, or a string


@dataclass(frozen=True, eq=False)
class Truth:
    """The N annotated objects of one image, including crowds.

    Attributes:
        boxes_xywh: N x 4 float64, (left, top, width, height) in pixels, as annotated and not clipped.
        areas: N float64, square pixels; they decide COCO's size classes small, medium and large.
        labels: N int64, indices in the data set's class names.
        is_crowd: N bool; detections in a crowd count neither as correct nor as wrong.
    """

    boxes_xywh: NDArray[np.float64]
    areas: NDArray[np.float64]
    labels: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)
