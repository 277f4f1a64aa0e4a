"""What a checkpoint remembers of its data: the exact lists of pictures, and how the set was read. No torch."""

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
class Picture:
    """A file and whether it is turned as its EXIF tag says."""

    path: Path
    apply_orientation: bool = False


@dataclass(frozen=True)
class PictureList:
    """The pictures of one part, and their classes.

    Attributes:
        name: of the part, for people.
        root: folder of the data set.
        files: relative to it, with ``/``; absolute for those outside of it.
        turned: positions in ``files`` of those that are turned as their EXIF tag says.
        labels: class names.
        sha256: of pictures and objects.
    """

    name: str
    root: str
    files: tuple[str, ...]
    turned: tuple[int, ...]
    labels: tuple[str, ...]
    sha256: str

    @classmethod
    def of(cls, dataset: DetectionSet, root: Path) -> "PictureList":
        """The list of a set that lies in a folder."""
        base = root.absolute()
        files = tuple(_relative(image.path.absolute(), base) for image in dataset.images)
        turned = tuple(index for index, image in enumerate(dataset.images) if image.apply_orientation)
        return cls(dataset.name, str(base), files, turned, dataset.labels, dataset.sha256())

    def pictures(self, root: Path | None = None) -> list[Picture]:
        """The pictures, in another folder if the set was moved there; whether the files exist is not looked at."""
        base = root or Path(self.root)
        turned = set(self.turned)
        return [Picture(base / name, index in turned) for index, name in enumerate(self.files)]

    def found(self, root: Path | None = None) -> list[Picture]:
        """Those of ``pictures`` that are there, looked for in ``root`` and where they were."""
        for place in dict.fromkeys((root, None)):
            existing = [picture for picture in self.pictures(place) if picture.path.is_file()]
            if existing:
                return existing
        return []


@dataclass(frozen=True)
class DataRecord:
    """What a run learnt from and was validated on.

    Attributes:
        options: the settings of the run by which the set was read, as JSON values.
        train, val: its pictures.
    """

    options: dict[str, Any]
    train: PictureList
    val: PictureList

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which ``from_json`` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any, source: object) -> "DataRecord":
        """Read what ``to_json`` gave.

        Raises:
            UserError: it is something else.
        """
        try:
            record: DataRecord = decode(cls, values)
        except ValueError as error:
            raise UserError(f"{source} is damaged: its list of pictures cannot be read ({error})") from error
        return record


def pictures_of(files: Sequence[Path | Picture]) -> list[Picture]:
    """Pictures, also of files that no data set tells of."""
    return [file if isinstance(file, Picture) else Picture(file) for file in files]


def _relative(path: Path, root: Path) -> str:
    """With ``/``; a path outside of the folder stays absolute."""
    text = os.path.relpath(path, root)
    return path.as_posix() if text.startswith("..") else Path(text).as_posix()
