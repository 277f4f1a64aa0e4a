"""The operating point of a model file: the score threshold of each class."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from mobiledet.records import Count, Range, Share

Sha256 = Annotated[str, Range(64, 64)]


@dataclass(frozen=True)
class ClassPoint:
    """The threshold of a class with its precision and recall.

    Attributes:
        label: the class.
        threshold: lowest score of detections that are shown.
        own: whether the threshold was chosen for this class; otherwise it is that of all classes together.
        precision, recall: values on the images that the threshold was chosen on; None if the threshold is not its own.
        precision_low, precision_high, recall_low, recall_high: bounds of their 98 % confidence intervals.
    """

    label: str
    threshold: Share
    own: bool
    precision: Share | None = None
    precision_low: Share | None = None
    precision_high: Share | None = None
    recall: Share | None = None
    recall_low: Share | None = None
    recall_high: Share | None = None


@dataclass(frozen=True)
class OperatingPoint:
    """The thresholds of a model file, and where they come from.

    Attributes:
        thresholds: threshold of each class, in the order of the labels, for programs that need nothing else.
        classes: thresholds with precision and recall, in the same order.
        rule: the criterion that they were chosen by, as text.
        iou: lowest IoU at which an object counted as detected.
        dataset: name of the data set.
        images: number of images.
        images_sha256: checksum of image ids, file names and objects.
        result_sha256: checksum of the result file of `mobiledet evaluate`.
        file_sha256: checksum of the model file.
        created: when they were stored; UTC, ISO 8601.
    """

    thresholds: Annotated[tuple[Share, ...], Range(1)]
    classes: tuple[ClassPoint, ...]
    rule: str
    iou: Share
    dataset: str
    images: Count
    images_sha256: Sha256
    result_sha256: Sha256
    file_sha256: Sha256
    created: str

    def __post_init__(self) -> None:
        datetime.fromisoformat(self.created)
        if self.thresholds != tuple(entry.threshold for entry in self.classes):
            raise ValueError("thresholds are not those of classes")

    def check(self, labels: tuple[str, ...], file_sha256: str) -> None:
        """Check that it belongs to these classes and this model file.

        Raises:
            ValueError: it belongs to other classes or another file.
        """
        if tuple(entry.label for entry in self.classes) != labels:
            raise ValueError("its operating point is of other classes")
        if self.file_sha256 != file_sha256:
            raise ValueError("its operating point is of another file")

    def __str__(self) -> str:
        return f"{self.rule} at IoU {self.iou:g} on {self.dataset}, {self.images} images"
