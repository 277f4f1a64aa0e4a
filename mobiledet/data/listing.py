"""What a reader of some format finds in files, before it is checked. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mobiledet.data.dataset import LeftOut
from mobiledet.truth import ImageId

LARGEST_SIDE = 10**6  # of a picture, pixels
LARGEST_NUMBER = 10**9  # in a box
MOST_LETTERS = 80  # of a value in a message


class ListedImage(NamedTuple):
    """A picture as it is listed.

    Attributes:
        id: its own.
        path: of a file that exists.
        width, height: as annotated; 0 where nothing is said.
        where: names the entry in messages.
    """

    id: ImageId
    path: Path
    width: int
    height: int
    where: str


class ListedBox(NamedTuple):
    """A box as it is listed; all numbers are numbers, no more is known.

    Attributes:
        image: position of its picture in the listing.
        label: position of its class.
        xywh: left, top, width, height in pixels, or in shares of the picture.
        area: as annotated; NaN where nothing is said.
        is_crowd: not learnt, and no fault of a detector.
        where: names the entry in messages: a text, or what one is made of (``Listing.describe``).
    """

    image: int
    label: int
    xywh: tuple[float, float, float, float]
    area: float
    is_crowd: bool
    where: Any


@dataclass
class Listing:
    """The content of one part of a data set.

    Attributes:
        images_dir, annotations, labels, category_ids: see ``DetectionSet``.
        images, boxes: well-formed entries.
        left_out: those that are not.
        notes: for the person.
        in_shares: boxes are in shares of the picture's sides, not in pixels.
        describe: the text of a ``ListedBox.where``; it is made for bad ones alone.
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
    """One format."""

    def parts(self, folder: Path) -> Sequence[str]:
        """Names of the parts that a folder holds in this format; empty if it is not in it.

        A set that is not divided has one part without a name.
        """

    def read(self, folder: Path, part: str) -> Listing:
        """One of them.

        Raises:
            UserError: what describes the part is missing or broken.
        """


def shown(value: object) -> str:
    """A value from a file, short enough for a message."""
    text = repr(value)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."


def is_number(value: object) -> bool:
    """Whether it is a number (NaN is one) that a box can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return not abs(value) > LARGEST_NUMBER


def class_name_problem(names: Sequence[Any]) -> str:
    """What makes a list of class names unusable: one is no line of text, or two are the same; else empty."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if (
            not isinstance(name, str) or not name.strip() or name.splitlines() != [name]
        ):  # labels.txt has a line for each
            return f"[{index}] has name = {shown(name)}; give it a name of one line"
        key = name.strip()
        if key in seen:
            return f"[{index}] has the same name as [{seen[key]}], {shown(name)}; give each class a name of its own"
        seen[key] = index
    return ""
