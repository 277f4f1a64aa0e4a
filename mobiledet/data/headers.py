"""Sizes and EXIF orientations of image files, and the rule that decides whether an orientation is applied. Imports no
torch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from mobiledet.data.config import Exif
from mobiledet.data.images import ORIENTATION_TAG, open_image
from mobiledet.errors import UserError
from mobiledet.processes.cores import usable_cores

MIN_IMAGES_FOR_PROGRESS = 5000  # a progress bar is shown for at least this many images


@dataclass(frozen=True)
class Header:
    """The header of an image file, read without decoding the image.

    Attributes:
        width, height: pixels as stored.
        orientation: EXIF orientation tag, 1 to 8; 1 is upright.
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
    """How an image file is read.

    Attributes:
        width, height: size in pixels after the orientation is applied or ignored.
        apply_orientation: whether the image is rotated according to its EXIF tag.
        fits_both: the annotated size fits with and without the rotation.
    """

    width: int
    height: int
    apply_orientation: bool
    fits_both: bool


def read_header(path: Path) -> Header:
    """Read the header of an image file without decoding the image.

    The orientation of a TIFF is part of its format and always applied, so its header gives orientation 1.

    Raises:
        UserError: the file is missing or not an image.
    """
    with open_image(path, path) as image:
        orientation = image.getexif().get(ORIENTATION_TAG, 1) if "exif" in image.info else 1
        known = orientation in range(1, 9) and image.format != "TIFF"
        return Header(image.width, image.height, int(orientation) if known else 1)


def read_headers(paths: Sequence[Path]) -> list[Header | UserError]:
    """The headers of many files in their order, or the error for a file that cannot be read."""
    with ThreadPoolExecutor(min(8, 2 * usable_cores())) as pool:
        headers = pool.map(_header_or_error, paths)
        console = Console(stderr=True, quiet=len(paths) < MIN_IMAGES_FOR_PROGRESS)
        return list(track(headers, "reading image headers", len(paths), console=console, transient=True))


def _header_or_error(path: Path) -> Header | UserError:
    try:
        return read_header(path)
    except UserError as error:
        return error


def choose_reading(header: Header, width: int, height: int, exif: Exif) -> Reading | str:
    """Decide whether the EXIF orientation of an image is applied.

    With ``auto`` it is applied unless the annotated size matches only the stored pixels.

    Args:
        header: header of the file.
        width, height: annotated size in pixels; 0 if the annotations give no size.
        exif: the user's choice.

    Returns:
        how the image is read, or a text that says how its size contradicts the annotations.
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
        other = f"{turned[0]} x {turned[1]} rotated by its EXIF orientation {header.orientation}"
        hint = "" if not (fits_stored or fits_turned) else f"; --exif {'ignore' if apply else 'apply'} would match"
        return f"is {stored[0]} x {stored[1]} pixels as stored and {other}, {said}{hint} (--exif {exif})"
    size = turned if apply else stored
    return Reading(*size, apply, fits_both=header.orientation != 1 and fits_stored and fits_turned)
