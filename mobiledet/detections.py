"""Detections of one image, the currency between devices, metrics and pictures."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """Boxes found in one image, best score first.

    Attributes:
        boxes_xyxy: N x 4 float32, (x1, y1, x2, y2) in pixels of the image as it lies on disk, x to the right,
            y downwards, (0, 0) the top left corner of the top left pixel.
        scores: N float32 in 0..1.
        labels: N int64, contiguous class indices 0..C-1 (the lines of labels.txt, not COCO category ids).
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes_xyxy.shape != (count, 4) or self.scores.shape != (count,) or self.labels.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes_xyxy.shape}, scores {self.scores.shape} and labels {self.labels.shape} do not agree"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> "Detections":
        """The detections whose score is at least ``score``."""
        kept = self.scores >= score
        return Detections(self.boxes_xyxy[kept], self.scores[kept], self.labels[kept])

    @classmethod
    def empty(cls) -> "Detections":
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def from_graph_outputs(
        cls,
        boxes_yxyx: np.ndarray,
        classes: np.ndarray,
        scores: np.ndarray,
        count: int,
        image_height: int,
        image_width: int,
    ) -> "Detections":
        """Detections of a model file's four outputs.

        Args:
            boxes_yxyx: K x 4, (ymin, xmin, ymax, xmax) as fractions of the stretched image, 0..1.
            classes: K class indices, as floats or integers.
            scores: K scores.
            count: how many of the K rows are detections; the rest is padding.
            image_height, image_width: pixels of the original image.
        """
        scale = np.array([image_width, image_height, image_width, image_height], np.float32)
        boxes = boxes_yxyx[:count, [1, 0, 3, 2]].astype(np.float32) * scale
        labels = np.rint(classes[:count]).astype(np.int64)
        return cls(boxes, scores[:count].astype(np.float32), labels)
