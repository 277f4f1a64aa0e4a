"""The operating point of a model file: from which score on a detection of each class is shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from mobiledet.records import Count, Range, Share

Sha256 = Annotated[str, Range(64, 64)]


@dataclass(frozen=True)
class ClassPoint:
    """What a class's threshold promises.

    Attributes:
        label: the class.
        threshold: score from which on its detections are shown.
        own: whether it was found on this class; otherwise it is that of all classes together.
        precision, recall: on the images that it was found on; None for a threshold that is not its own.
        precision_low, precision_high, recall_low, recall_high: where they lie on as many others of their kind, in 49 of
            50 cases.
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
        thresholds: of each class, in the order of the labels, for whoever needs nothing else.
        classes: what they promise, in the same order.
        rule: what they were chosen for, in words.
        iou: from there on an object counted as found.
        dataset: name of the images.
        images: how many.
        images_sha256: of image ids, file names and objects.
        result_sha256: of the result that `mobiledet evaluate` wrote.
        file_sha256: of the model file.
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
        """Hold it against the bundle that it lies in.

        Raises:
            ValueError: it is of other classes or of another file.
        """
        if tuple(entry.label for entry in self.classes) != labels:
            raise ValueError("its operating point is of other classes")
        if self.file_sha256 != file_sha256:
            raise ValueError("its operating point is of another file")

    def __str__(self) -> str:
        return f"{self.rule} at IoU {self.iou:g} on {self.dataset}, {self.images} images"
