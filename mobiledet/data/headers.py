"""Sizes and EXIF orientations of picture files, and the rule by which an orientation is applied. No torch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mobiledet.data.config import Exif
from mobiledet.data.images import ORIENTATION_TAG, opened
from mobiledet.errors import UserError
from mobiledet.processes.cores import usable_cores

SHOWN_FROM = 5000  # pictures, from which on a bar tells how far it is


@dataclass(frozen=True)
class Header:
    """What a picture file says of itself before anything is decoded.

    Attributes:
        width, height: pixels as stored.
        orientation: EXIF tag, 1 to 8; 1 is upright.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def is_turned(self) -> bool:
        """Whether the orientation exchanges width and height."""
        return self.orientation >= 5


@dataclass(frozen=True)
class Reading:
    """How the pixels of a file are read.

    Attributes:
        width, height: of the picture, pixels.
        apply_orientation: whether it is the file turned as its tag says.
        fits_both: the annotations do not tell whether it should be.
    """

    width: int
    height: int
    apply_orientation: bool
    fits_both: bool


def read_header(path: Path) -> Header:
    """Open a picture without decoding it.

    A TIFF's orientation belongs to its format and is always applied; it does not appear here.

    Raises:
        UserError: it is missing or no picture.
    """
    with opened(path, path) as image:
        orientation = image.getexif().get(ORIENTATION_TAG, 1) if "exif" in image.info else 1
        known = orientation in range(1, 9) and image.format != "TIFF"
        return Header(image.width, image.height, int(orientation) if known else 1)


def read_headers(paths: Sequence[Path]) -> list[Header | UserError]:
    """The headers of many files, in their order; of one that cannot be read the error."""
    with ThreadPoolExecutor(min(8, 2 * usable_cores())) as pool:
        headers = pool.map(_header_or_error, paths)
        console = Console(stderr=True, quiet=len(paths) < SHOWN_FROM)
        return list(track(headers, "looking at pictures", len(paths), console=console, transient=True))


def _header_or_error(path: Path) -> Header | UserError:
    try:
        return read_header(path)
    except UserError as error:
        return error


def choose_reading(header: Header, width: int, height: int, exif: Exif) -> Reading | str:
    """How a picture is read whose annotations speak of width x height pixels; 0 x 0 where they give no size.

    With ``auto`` a tag is applied unless the annotated size fits the stored pixels alone.

    Returns:
        the reading, or what contradicts it.
    """
    stored, turned = (header.width, header.height), (header.width, header.height)
    if header.is_turned:
        turned = (header.height, header.width)
    annotated = (width, height) if width else None
    fits_stored, fits_turned = annotated in (None, stored), annotated in (None, turned)
    if header.orientation == 1 or exif == "ignore":
        apply = False
    elif exif == "apply":
        apply = True
    else:
        apply = fits_turned or not fits_stored
    fits = fits_turned if apply else fits_stored
    if not fits:
        said = f"but its annotations say {width} x {height}"
        if header.orientation == 1:
            return f"is {stored[0]} x {stored[1]} pixels, {said}"
        other = f"{turned[0]} x {turned[1]} turned as its EXIF orientation {header.orientation} says"
        way = "" if not (fits_stored or fits_turned) else f"; --exif {'ignore' if apply else 'apply'} reads it so"
        return f"is {stored[0]} x {stored[1]} pixels as stored and {other}, {said}{way} (--exif {exif})"
    size = turned if apply else stored
    return Reading(*size, apply, fits_both=header.orientation != 1 and fits_stored and fits_turned)
