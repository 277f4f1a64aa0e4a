"""The description of the data in a checkpoint: the exact lists of images, and how the data set was read. Imports no
torch."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobiledet.data.dataset import DetectionSet
from mobiledet.errors import UserError
from mobiledet.records import decode


@dataclass(frozen=True)
class ImageFile:
    """An image file, and whether it is rotated according to its EXIF orientation."""

    path: Path
    apply_orientation: bool = False


@dataclass(frozen=True)
class ImageFileList:
    """The images of one split, and their classes.

    Attributes:
        name: name of the split, to show.
        root: folder of the data set.
        files: image paths with ``/``, relative to ``root``, or absolute for files outside it.
        turned: indices in ``files`` of images that are rotated according to their EXIF orientation.
        labels: class names.
        sha256: checksum of images and objects, see ``DetectionSet.sha256``.
    """

    name: str
    root: str
    files: tuple[str, ...]
    turned: tuple[int, ...]
    labels: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, dataset: DetectionSet, root: Path) -> "ImageFileList":
        """The images of a data set in the folder ``root``."""
        base = root.absolute()
        files = tuple(_relative(image.path.absolute(), base) for image in dataset.images)
        turned = tuple(index for index, image in enumerate(dataset.images) if image.apply_orientation)
        return cls(dataset.name, str(base), files, turned, dataset.labels, dataset.sha256())

    def image_files(self, root: Path | None = None) -> list[ImageFile]:
        """The images, in another folder if the data set was moved; the files need not exist."""
        base = root or Path(self.root)
        turned = set(self.turned)
        return [ImageFile(base / name, index in turned) for index, name in enumerate(self.files)]

    def existing_files(self, root: Path | None = None) -> list[ImageFile]:
        """The images that exist, in ``root`` or else at their original location."""
        for place in dict.fromkeys((root, None)):
            existing = [image for image in self.image_files(place) if image.path.is_file()]
            if existing:
                return existing
        return []


@dataclass(frozen=True)
class DataRecord:
    """The training and validation data of a run.

    Attributes:
        options: the settings of the run that determine how the data set is read, as JSON values.
        train, val: the training and the validation images.
    """

    options: dict[str, Any]
    train: ImageFileList
    val: ImageFileList

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which ``from_json`` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any, source: object) -> "DataRecord":
        """Read the result of ``to_json``; ``source`` is used in error messages.

        Raises:
            UserError: the values are not a valid record.
        """
        try:
            record: DataRecord = decode(cls, values)
        except ValueError as error:
            raise UserError(f"{source} is damaged: its list of images cannot be read ({error})") from error
        return record


def image_files_of(files: Sequence[Path | ImageFile]) -> list[ImageFile]:
    """Wrap paths as ``ImageFile``; a path alone is not rotated."""
    return [file if isinstance(file, ImageFile) else ImageFile(file) for file in files]


def _relative(path: Path, root: Path) -> str:
    """A path relative to a folder, with ``/``; a path outside the folder stays absolute."""
    text = os.path.relpath(path, root)
    return path.as_posix() if text.startswith("..") else Path(text).as_posix()
