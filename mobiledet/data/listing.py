"""The images and boxes that a reader lists, before they are checked. Imports no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mobiledet.data.dataset import LeftOut
from mobiledet.truth import ImageId

LARGEST_SIDE = 10**6  # of an image, in pixels
LARGEST_NUMBER = 10**9  # in a box
MAX_VALUE_LENGTH = 80  # characters of a value in a message


class ListedImage(NamedTuple):
    """An image as it is listed.

    Attributes:
        id: its id in the data set.
        path: its file, which exists.
        width, height: annotated size in pixels; 0 if none is given.
        where: how messages name the entry.
    """

    id: ImageId
    path: Path
    width: int
    height: int
    where: str


class ListedBox(NamedTuple):
    """A box as it is listed. Its values have the right types but are not checked otherwise.

    Attributes:
        image: index of its image in the listing.
        label: index of its class.
        xywh: left, top, width, height in pixels, or in fractions of the image's sides (``Listing.in_shares``).
        area: annotated area in square pixels; NaN if none is given.
        is_crowd: not used in training, and ignored in scoring.
        where: how messages name the entry: a string, or the value that ``Listing.describe`` turns into one.
    """

    image: int
    label: int
    xywh: tuple[float, float, float, float]
    area: float
    is_crowd: bool
    where: Any


@dataclass
class Listing:
    """The content of one split of a data set.

    Attributes:
        images_dir, annotations, labels, category_ids: see ``DetectionSet``.
        images, boxes: well-formed entries.
        left_out: malformed entries.
        notes: remarks for the user.
        in_shares: whether boxes are in fractions of the image's sides instead of pixels.
        describe: turns a ``ListedBox.where`` into text; called only for bad boxes, to save time.
    """

    images_dir: Path
    annotations: Path
    labels: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: list[ListedImage] = field(default_factory=list)
    boxes: list[ListedBox] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_shares: bool = False
    describe: Callable[[Any], str] = str


class Reader(Protocol):
    """Reads data sets in one format."""

    def splits(self, folder: Path) -> Sequence[str]:
        """Names of the splits in a folder; empty if the folder is not in this format.

        A data set without splits has a single one whose name is empty.
        """

    def read(self, folder: Path, split: str) -> Listing:
        """Read one split.

        Raises:
            UserError: a file that describes the split is missing or damaged.
        """


def shown(value: object) -> str:
    """A value from a file, short enough for a message."""
    text = repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 3]}..."


def is_number(value: object) -> bool:
    """Whether a value is a number that a box can contain; NaN is one."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return not abs(value) > LARGEST_NUMBER


def class_name_problem(names: Sequence[Any]) -> str:
    """Why a list of class names is not valid: a name is not one line of text, or two are the same. Otherwise empty."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if (
            not isinstance(name, str) or not name.strip() or name.splitlines() != [name]
        ):  # labels.txt has a line for each
            return f"[{index}] has name = {shown(name)}; give it a name on one line"
        key = name.strip()
        if key in seen:
            return f"[{index}] has the same name as [{seen[key]}], {shown(name)}; give each class its own name"
        seen[key] = index
    return ""
