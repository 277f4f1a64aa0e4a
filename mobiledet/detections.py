"""Detections of one image, as devices return them and metrics and drawings use them."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Detections:
    """Detections in one image, highest score first.

    Attributes:
        boxes_xyxy: N x 4 float32, (x1, y1, x2, y2) in pixels of the image, x to the right, y downwards, (0, 0) at the
            top left corner of the top left pixel.
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

    def above(self, score: float | np.ndarray) -> "Detections":
        """The detections whose score is at least ``score``: one for all, or one for each of the C classes."""
        kept = self.scores >= (score[self.labels] if isinstance(score, np.ndarray) else score)
        return Detections(self.boxes_xyxy[kept], self.scores[kept], self.labels[kept])

    @classmethod
    def empty(cls) -> "Detections":
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def from_json(cls, boxes: Any, scores: Any, labels: Any, class_count: int | None = None) -> "Detections":
        """Read detections from decoded JSON: a list of N lists of four numbers, and two lists of N numbers.

        Values are checked as arrays; checking them one by one would take longer than many a network.

        Args:
            boxes, scores, labels: as in the attributes.
            class_count: number of classes of the model; None if labels have no upper limit.

        Raises:
            ValueError: lengths differ, or a value is of another type, not finite or out of range.
        """
        found = cls(
            _numbers(boxes, "boxes", "iuf", np.float32, columns=4),
            _numbers(scores, "scores", "iuf", np.float32),
            _numbers(labels, "labels", "iu", np.int64),
        )
        most = np.inf if class_count is None else class_count - 1
        for name, values, low, high in (
            ("boxes", found.boxes_xyxy, -np.inf, np.inf),
            ("scores", found.scores, 0, 1),
            ("labels", found.labels, 0, most),
        ):
            if not (np.isfinite(values).all() and (values >= low).all() and (values <= high).all()):
                raise ValueError(f"{name} has a value that is not finite or not in {low:g}..{high:g}")
        return found

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
        """Detections from the four outputs of a model file.

        Args:
            boxes_yxyx: K x 4, (ymin, xmin, ymax, xmax) as fractions of the model's input, 0..1.
            classes: K class indices, as floats or integers.
            scores: K scores.
            count: number of the K rows that are detections; the rest is padding.
            image_height, image_width: size of the input in pixels; 1 keeps fractions (see ``mobiledet.placement``).
        """
        scale = np.array([image_width, image_height, image_width, image_height], np.float32)
        boxes = boxes_yxyx[:count, [1, 0, 3, 2]].astype(np.float32) * scale
        labels = np.rint(classes[:count]).astype(np.int64)
        return cls(boxes, scores[:count].astype(np.float32), labels)


def _numbers(values: Any, name: str, kinds: str, dtype: type, columns: int = 0) -> np.ndarray:
    """Convert a list of numbers, or of lists of ``columns`` numbers, to an array.

    Strings, booleans and numbers of another kind are refused, not converted.
    """
    if not isinstance(values, list):
        raise ValueError(f"{name} is not a list")
    shape = (len(values), columns) if columns else (len(values),)
    if not values:
        return np.zeros(shape, dtype)
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{name} is not a list of numbers, or of lists of equal length") from error
    if array.dtype.kind not in kinds or array.shape != shape:
        raise ValueError(f"{name} has a value of another type, or lists of another length")
    with np.errstate(over="ignore"):  # too large values become infinite and are refused later
        return array.astype(dtype)
