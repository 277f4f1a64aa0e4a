"""The checked data set: what every reader ends in, and all that training, scoring and export know of the data."""

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
    """Something bad that is not used: the kind, by which it is counted, and a line that names it."""

    reason: str
    text: str


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One picture and what is on it.

    Attributes:
        id: the data set's own.
        path: the file.
        width, height: pixels of the picture that the boxes are drawn on.
        truth: its objects.
        apply_orientation: whether that picture is the file turned as its EXIF tag says.
    """

    id: ImageId
    path: Path
    width: int
    height: int
    truth: Truth
    apply_orientation: bool = False

    @property
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """N x 4, pixels, clipped to the picture, without crowds: what is learnt."""
        boxes = self.truth.boxes_xywh[~self.truth.is_crowd]
        corners = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
        return np.clip(corners, 0, (self.width, self.height) * 2).astype(np.float32)

    @property
    def labels(self) -> NDArray[np.int64]:
        """N, of ``boxes_xyxy``."""
        return self.truth.labels[~self.truth.is_crowd]

    def boxes_in(self, height: float, width: float) -> NDArray[np.float32]:
        """``boxes_xyxy`` in pixels of the picture when it is stretched to height x width."""
        scale = np.array((width / self.width, height / self.height) * 2)
        return np.asarray(self.boxes_xyxy * scale, np.float32)

    def boxes_in_input(self, spec: InputSpec) -> NDArray[np.float32]:
        """``boxes_xyxy`` in pixels of a model's input that shows the picture."""
        return Placement.of(self.height, self.width, spec).to_input(self.boxes_xyxy)

    def size_problem(self, height: int, width: int, annotations: Path) -> str:
        """How the decoded picture contradicts ``annotations``, whose boxes are then of another picture; else empty."""
        if (height, width) == (self.height, self.width):
            return ""
        return f"image {self.path} is {width} x {height} pixels, but {annotations} says {self.width} x {self.height}"


@dataclass(frozen=True, eq=False)
class DetectionSet:
    """Pictures with annotated boxes, checked.

    Attributes:
        name: for people, such as ``coco-val``.
        images_dir: where the pictures lie.
        annotations: the file or folder that the boxes were read from, for messages.
        labels: class names, no two the same.
        category_ids: the data set's own number of each.
        images: all usable pictures, also those without boxes.
        left_out: the bad entries that are not among them.
        notes: what else a person should know, one line each.
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
        """Boxes of each class that are to be found, crowds left out."""
        counts = np.zeros(len(self.labels), np.int64)
        for image in self.images:
            counts += np.bincount(image.labels, minlength=len(self.labels))
        return tuple(counts.tolist())

    @property
    def crowds(self) -> int:
        """Crowd boxes, which are neither learnt nor to be found."""
        return int(sum(image.truth.is_crowd.sum() for image in self.images))

    def truth(self) -> dict[ImageId, Truth]:
        """The objects of each picture, by its id."""
        return {image.id: image.truth for image in self.images}

    def first(self, count: int) -> "DetectionSet":
        """The first pictures alone; 0 takes all."""
        return dataclasses.replace(self, images=self.images[:count]) if count else self

    def relabelled(self, labels: Sequence[str], category_ids: Sequence[int]) -> "DetectionSet":
        """The same with the classes of another list, which holds all of its own by name."""
        if (tuple(labels), tuple(category_ids)) == (self.labels, self.category_ids):
            return self
        place = np.array([labels.index(name) for name in self.labels], np.int64)
        images = tuple(
            dataclasses.replace(image, truth=dataclasses.replace(image.truth, labels=place[image.truth.labels]))
            for image in self.images
        )
        return dataclasses.replace(self, labels=tuple(labels), category_ids=tuple(category_ids), images=images)

    def sha256(self) -> str:
        """Of all that a score depends on: the list of pictures and their objects."""
        digest = hashlib.sha256(repr(self.labels).encode())
        for image in self.images:
            size = (image.id, image.path.name, image.width, image.height, image.apply_orientation)
            digest.update(repr(size).encode())
            for values in vars(image.truth).values():
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def count_by_reason(entries: Sequence[LeftOut]) -> str:
    """How many for each reason, such as ``3 boxes without area, 1 missing file``; the most frequent first."""
    counts = Counter(entry.reason for entry in entries)
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())


def some(names: Sequence[str], most: int = 8) -> str:
    """The first names of a list, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
