"""The checked data set: the common result of all readers, which training, scoring and export work with."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobiledet.placement import Placement
from mobiledet.spec import InputSpec
from mobiledet.truth import ImageId, Truth


class LeftOut(NamedTuple):
    """A bad image or annotation that is not used: the reason, by which it is counted, and a line that names it."""

    reason: str
    text: str


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image and its objects.

    Attributes:
        id: its id in the data set.
        path: its file.
        width, height: size in pixels of the image that the boxes refer to.
        truth: its ground-truth objects.
        apply_orientation: whether the boxes refer to the image rotated according to its EXIF orientation.
    """

    id: ImageId
    path: Path
    width: int
    height: int
    truth: Truth
    apply_orientation: bool = False

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """The boxes to train on, without crowds: N x 4, pixels, clipped to the image."""
        boxes = self.truth.boxes_xywh[~self.truth.is_crowd]
        corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
        return np.clip(corners, 0, (self.width, self.height) * 2).astype(np.float32)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The labels of ``boxes_xyxy``: N."""
        return self.truth.labels[~self.truth.is_crowd]

    def boxes_in(self, height: float, width: float) -> NDArray[np.float32]:
        """``boxes_xyxy`` in pixels of the image after it is stretched to height x width."""
        scale = np.array((width / self.width, height / self.height) * 2)
        return np.asarray(self.boxes_xyxy * scale, np.float32)

    def boxes_in_input(self, spec: InputSpec) -> NDArray[np.float32]:
        """``boxes_xyxy`` in pixels of a model's input, to which the image is resized."""
        return Placement.of(self.height, self.width, spec).to_input(self.boxes_xyxy)

    def size_problem(self, height: int, width: int, annotations: Path) -> str:
        """An error message if the decoded image does not have the annotated size; otherwise empty."""
        if (height, width) == (self.height, self.width):
            return ""
        return f"image {self.path} is {width} x {height} pixels, but {annotations} says {self.width} x {self.height}"


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """Checked images with annotated boxes.

    Attributes:
        name: name to show, such as ``coco-val``.
        images_dir: folder of the images.
        annotations: the file or folder that the boxes were read from, for messages.
        labels: class names, all different.
        category_ids: the data set's own id of each class.
        images: all usable images, including those without boxes.
        left_out: bad images and annotations, which are not used.
        notes: other remarks for the user, one line each.
    """

    name: str
    images_dir: Path
    annotations: Path
    labels: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[LabelledImage, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def skipped(self) -> tuple[str, ...]:
        """The lines of ``left_out``."""
        return tuple(entry.text for entry in self.left_out)

    @cached_property
    def objects(self) -> tuple[int, ...]:
        """Number of boxes of each class, without crowds."""
        counts = np.zeros(len(self.labels), np.int64)
        for image in self.images:
            counts += np.bincount(image.labels, minlength=len(self.labels))
        return tuple(counts.tolist())

    @property
    def crowds(self) -> int:
        """Number of crowd boxes, which are neither trained on nor expected to be detected."""
        return int(sum(image.truth.is_crowd.sum() for image in self.images))

    def truth(self) -> dict[ImageId, Truth]:
        """The ground truth of each image, by its id."""
        return {image.id: image.truth for image in self.images}

    def first(self, count: int) -> "DetectionSet":
        """The data set reduced to its first ``count`` images; 0 keeps all."""
        return dataclasses.replace(self, images=self.images[:count]) if count else self

    def relabelled(self, labels: Sequence[str], category_ids: Sequence[int]) -> "DetectionSet":
        """The data set with its labels changed to positions in another list of classes, which must contain all of its
        own by name."""
        if (tuple(labels), tuple(category_ids)) == (self.labels, self.category_ids):
            return self
        place = np.array([labels.index(name) for name in self.labels], np.int64)
        images = tuple(
            dataclasses.replace(image, truth=dataclasses.replace(image.truth, labels=place[image.truth.labels]))
            for image in self.images
        )
        return dataclasses.replace(self, labels=tuple(labels), category_ids=tuple(category_ids), images=images)

    def sha256(self) -> str:
        """Checksum of everything that a score depends on: class names, images and their objects."""
        digest = hashlib.sha256(repr(self.labels).encode())
        for image in self.images:
            size = (image.id, image.path.name, image.width, image.height, image.apply_orientation)
            digest.update(repr(size).encode())
            for values in vars(image.truth).values():
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def count_by_reason(entries: Sequence[LeftOut]) -> str:
    """The number of entries for each reason, such as ``3 boxes without area, 1 missing file``; the most frequent
    first."""
    counts = Counter(entry.reason for entry in entries)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())


def some(names: Sequence[str], most: int = 8) -> str:
    """The first names of a list and the number of the others, such as ``cat, dog and 3 more``."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
