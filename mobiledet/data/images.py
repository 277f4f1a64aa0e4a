"""Pictures: found, decoded and resized. Training, evaluation and devices all use these functions. No torch."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mobiledet.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})

# the decoders that may see a file from outside; Pillow has others that start programs, such as that of EPS
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
# about 1 GB to decode: more than the largest cameras of phones but one give, and less than a small file can pretend
MOST_PIXELS = 120_000_000
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # that limit takes the place of Pillow's
SizeCheck = Callable[[int, int], str]  # of a height and a width: what is wrong with them, else empty

# what Pillow raises on files that are truncated, broken, or not pictures
_DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    ZeroDivisionError,
)


def load_rgb(path: Path, apply_orientation: bool = False, check_size: SizeCheck | None = None) -> NDArray[np.uint8]:
    """Decode a picture of any kind; grayscale, palette, CMYK become RGB, transparency is dropped.

    The size that its header tells is looked at before anything is decoded.

    Args:
        path: the file.
        apply_orientation: turn the picture as its EXIF tag says. COCO annotations ignore that tag; photographs
            that a person will look at need it.
        check_size: refuses a height and a width, as they lie on disk.

    Returns:
        H x W x 3, uint8, RGB.

    Raises:
        UserError: the file is missing, truncated, too large or cannot be decoded; or what ``check_size`` says.
    """
    with _opened(path, path, check_size) as image:
        return _decoded(image, apply_orientation)


def decode_rgb(content: bytes, name: str, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """The same for the bytes of a file; errors call it ``name``."""
    with _opened(io.BytesIO(content), name) as image:
        return _decoded(image, apply_orientation)


def _decoded(image: Image.Image, apply_orientation: bool) -> NDArray[np.uint8]:
    image.load()
    return _rgb(ImageOps.exif_transpose(image) if apply_orientation else image)


def load_reduced(
    path: Path, height: int, width: int, check_size: SizeCheck | None = None
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode a picture to a half, a quarter or an eighth of its sides, the least that has height x width pixels.

    For a JPEG this leaves out most of the work: libjpeg scales the cosine transform of each block, so that a pixel is
    about the mean of those it stands for. A picture whose half is too small already is decoded in full.

    Returns:
        the pixels as in ``load_rgb``, and (height, width) of the picture in the file.

    Raises:
        UserError: as in ``load_rgb``.
    """
    with _opened(path, path, check_size) as image:
        original = image.height, image.width
        factor = _reduction(original, (height, width))
        image.draft("RGB", (width, height))
        image.load()
        pixels = _rgb(image)
    if factor > 1 and pixels.shape[:2] == original:  # not a JPEG
        pixels = np.array(Image.fromarray(pixels).reduce(factor))
    return pixels, original


def reduced_size(size: tuple[int, int], least: tuple[int, int]) -> tuple[int, int]:
    """Height and width to which ``load_reduced`` decodes a picture of ``size``, when asked for ``least``."""
    factor = _reduction(size, least)
    return -(-size[0] // factor), -(-size[1] // factor)


def _reduction(size: tuple[int, int], least: tuple[int, int]) -> int:
    fits = min(size[0] // least[0], size[1] // least[1])
    return next((factor for factor in (8, 4, 2) if factor <= fits), 1)


@contextmanager
def _opened(source: Path | BinaryIO, name: object, check_size: SizeCheck | None = None) -> Iterator[Image.Image]:
    """A picture file; whatever goes wrong in the block is told as a ``UserError`` that names it."""
    try:
        with Image.open(source, formats=FORMATS) as image:
            pixels = math.prod(image.size)
            if pixels > MOST_PIXELS:
                size = f"{image.width} x {image.height}"
                raise UserError(
                    f"cannot decode image {name}: {size} pixels are more than {MOST_PIXELS // 10**6} million"
                )
            problem = check_size(image.height, image.width) if check_size else ""
            if problem:
                raise UserError(problem)
            yield image
    except UnidentifiedImageError as error:
        raise UserError(f"cannot decode image {name}: it is not a picture of a known format") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UserError(f"cannot decode image {name}: it has too many pixels for the memory") from error
    except _DECODE_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot decode image {name}: {' '.join(reason.split()).lower()}") from error


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a decoded picture."""
    if image.mode.startswith("I;16"):  # 16 bits a pixel: convert() would clip them instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Stretch H x W x 3 to height x width x 3, bilinear with pixel centres at half; the input itself if it fits."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def list_images(path: Path) -> list[Path]:
    """The pictures that ``path`` stands for: itself if it is a file, else those directly in the folder, sorted.

    Raises:
        UserError: ``path`` does not exist, or is a folder without pictures.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"cannot find {path}; give an image or a folder of images")
    images = sorted(child for child in path.iterdir() if child.suffix.lower() in IMAGE_SUFFIXES and child.is_file())
    if not images:
        raise UserError(f"folder {path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return images
