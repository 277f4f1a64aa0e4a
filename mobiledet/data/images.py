"""Pictures: found and decoded. Training, evaluation and devices all use these functions. No torch."""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mobiledet.data.resize import block_means, block_size
from mobiledet.errors import UserError
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})

# the decoders that may see a file from outside; Pillow has others that start programs, such as that of EPS
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
# about 1 GB to decode: more than the largest cameras of phones but one give, and less than a small file can pretend
MOST_PIXELS = 120_000_000
MOST_REDUCTION = 8  # of a JPEG's sides by its decoder
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # that limit takes the place of Pillow's
# a file, its bytes, or pixels: H x W x 3, uint8, RGB
ImageSource = Path | bytes | NDArray[np.uint8]
SizeCheck = Callable[[int, int], str]  # of a height and a width: what is wrong with them, else empty
ORIENTATION_TAG = 0x0112  # of EXIF

# of values in pictures of 32-bit integers and of floats
GREY_RANGES = {"I": (255.0, 65535.0, 2.0**32 - 1), "F": (1.0, 255.0, 65535.0, 2.0**32 - 1)}

# of files that hold pictures, or drawings, which are not decoded here
OTHER_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".psd", ".svg", ".pdf"}
)

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

    Grey of more than 8 bits is scaled down: integers of 16 bits by 256, those of 32 bits and floats by the smallest of
    the ranges 0..1 (floats alone), 0..255, 0..65535 and 0..2^32-1 that holds them. The size that the header tells is
    looked at before anything is decoded.

    Args:
        path: the file.
        apply_orientation: turn the picture as its EXIF tag says, see ``headers.choose_reading``.
        check_size: refuses a height and a width, those of the result.

    Returns:
        H x W x 3, uint8, RGB.

    Raises:
        UserError: the file is missing, truncated, too large or cannot be decoded; or what ``check_size`` says.
    """
    with opened(path, path, check_size, apply_orientation) as image:
        return _decoded(image, apply_orientation)


def decode_rgb(content: bytes, name: str, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """The same for the bytes of a file; errors call it ``name``."""
    with opened(io.BytesIO(content), name) as image:
        return _decoded(image, apply_orientation)


def read_rgb(source: ImageSource, name: Path, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """The same for a file, its bytes, or pixels, which are given back as they are; errors call bytes ``name``."""
    if isinstance(source, Path):
        return load_rgb(source, apply_orientation)
    return decode_rgb(source, str(name), apply_orientation) if isinstance(source, bytes) else source


def pillow_rgb(image: Image.Image, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """The same for a picture that Pillow has opened.

    Raises:
        UserError: it cannot be decoded.
    """
    with _told("given as a PIL image"):
        return _decoded(image, apply_orientation)


def _decoded(image: Image.Image, apply_orientation: bool) -> NDArray[np.uint8]:
    image.load()
    return _rgb(ImageOps.exif_transpose(image) if apply_orientation else image)


class Decoded(NamedTuple):
    """A picture as its decoder gave it.

    Attributes:
        pixels: H x W x 3, uint8, RGB.
        height, width: of the picture in full.
        factor: by which the decoder has shortened both sides, rounded up to whole pixels.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int
    factor: int

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width of the picture in ``pixels``; a part of a pixel where the sides are no multiples."""
        return self.height / self.factor, self.width / self.factor


def load_for(
    path: Path, spec: InputSpec, apply_orientation: bool = False, check_size: SizeCheck | None = None
) -> Decoded:
    """Decode a picture for a model: in full, but for a JPEG whose sides the rule of ``resize`` shortens by 8 or more.

    libjpeg can leave out most of the work and give the mean of each block of 8 x 8, to a rounding. By 2 and 4 it gives
    a sharper picture than the means, with other detections than on devices that decode in full: those are not taken.

    Raises:
        UserError: as in ``load_rgb``.
    """
    with opened(path, path, check_size, apply_orientation) as image:
        return _scaled_down(image, _size_for(spec), apply_orientation, least_factor=MOST_REDUCTION)


def decode_for(content: bytes, name: str, spec: InputSpec, apply_orientation: bool = False) -> Decoded:
    """The same for the bytes of a file; errors call it ``name``."""
    with opened(io.BytesIO(content), name) as image:
        return _scaled_down(image, _size_for(spec), apply_orientation, least_factor=MOST_REDUCTION)


def read_for(source: ImageSource, name: Path, spec: InputSpec, apply_orientation: bool = False) -> Decoded:
    """The same for a file, its bytes, or pixels, which are given back as they are; errors call bytes ``name``."""
    if isinstance(source, Path):
        return load_for(source, spec, apply_orientation)
    if isinstance(source, bytes):
        return decode_for(source, str(name), spec, apply_orientation)
    return Decoded(source, source.shape[0], source.shape[1], 1)


def load_reduced(
    path: Path,
    height: int,
    width: int,
    apply_orientation: bool = False,
    check_size: SizeCheck | None = None,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode a picture to a half, a quarter or an eighth of its sides, the least that has height x width pixels.

    A JPEG by its decoder, whose pixels are about the means of blocks; others become just those. A picture whose half is
    too small already is decoded in full.

    Returns:
        the pixels as in ``load_rgb``, and (height, width) of the picture in full.

    Raises:
        UserError: as in ``load_rgb``.
    """
    with opened(path, path, check_size, apply_orientation) as image:
        decoded = _scaled_down(image, lambda *_: (height, width), apply_orientation)
    original = decoded.height, decoded.width
    rest = reduction(original, (height, width)) // decoded.factor
    return block_means(decoded.pixels, rest, rest), original


def reduced_size(size: tuple[int, int], least: tuple[int, int]) -> tuple[int, int]:
    """Height and width to which ``load_reduced`` decodes a picture of ``size``, when asked for ``least``."""
    factor = reduction(size, least)
    return -(-size[0] // factor), -(-size[1] // factor)


def reduction(size: tuple[int, int], least: tuple[int, int]) -> int:
    """By how much ``load_reduced`` shortens the sides."""
    return min(MOST_REDUCTION, *(block_size(side, asked) for side, asked in zip(size, least, strict=True)))


def _size_for(spec: InputSpec) -> Callable[[int, int], tuple[int, int]]:
    """Of a picture's height and width: those that the rule of ``resize`` shortens it towards for a model."""

    def size(height: int, width: int) -> tuple[int, int]:
        placement = Placement.of(height, width, spec)
        return (placement.height, placement.width) if spec.sampling == "mean" else (height, width)

    return size


def _scaled_down(
    image: Image.Image,
    least: Callable[[int, int], tuple[int, int]],
    apply_orientation: bool,
    least_factor: int = 2,
) -> Decoded:
    stored = image.size
    turned = apply_orientation and _is_turned(image)
    height, width = stored if turned else stored[::-1]
    factor = reduction((height, width), least(height, width))
    mirrored = apply_orientation and image.getexif().get(ORIENTATION_TAG, 1) != 1
    begins_elsewhere = mirrored and (height % factor or width % factor)  # its blocks, at another corner
    if factor < least_factor or begins_elsewhere:
        return Decoded(_decoded(image, apply_orientation), height, width, 1)
    image.draft("RGB", (stored[0] // factor, stored[1] // factor))
    return Decoded(_decoded(image, apply_orientation), height, width, 1 if image.size == stored else factor)


def _is_turned(image: Image.Image) -> bool:
    """Whether its EXIF tag has height and width change places."""
    return bool(image.getexif().get(ORIENTATION_TAG, 1) >= 5)


@contextmanager
def opened(
    source: Path | BinaryIO, name: object, check_size: SizeCheck | None = None, apply_orientation: bool = False
) -> Iterator[Image.Image]:
    """A picture file, not decoded yet; whatever goes wrong in the block is told as a ``UserError`` that names it."""
    with _told(name), Image.open(source, formats=FORMATS) as image:
        pixels = math.prod(image.size)
        if pixels > MOST_PIXELS:
            size = f"{image.width} x {image.height}"
            raise UserError(f"cannot decode image {name}: {size} pixels are more than {MOST_PIXELS // 10**6} million")
        if check_size:
            width, height = image.size[::-1] if apply_orientation and _is_turned(image) else image.size
            problem = check_size(height, width)
            if problem:
                raise UserError(problem)
        yield image


@contextmanager
def _told(name: object) -> Iterator[None]:
    """Whatever goes wrong with a picture in the block is told as a ``UserError``."""
    try:
        yield
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
    elif image.mode in ("I", "F"):  # 32 bits: the same
        image = Image.fromarray(_scaled(np.asarray(image), GREY_RANGES[image.mode]))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _scaled(grey: NDArray[np.generic], tops: tuple[float, ...]) -> NDArray[np.uint8]:
    """Grey of many bits in 0..255, by the smallest of some ranges that holds it; negative and no numbers are black."""
    values = np.nan_to_num(np.asarray(grey, np.float64), nan=0, posinf=0, neginf=0)
    top = next((top for top in tops if values.max(initial=0) <= top), tops[-1])
    if top > 1:
        return np.clip(values // ((top + 1) / 256), 0, 255).astype(np.uint8)  # bits are cut off, as of 16-bit pictures
    return np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)


def list_images(path: Path) -> list[Path]:
    """The pictures that ``path`` stands for: itself if it is a file, else those directly in the folder, sorted.

    What a Mac leaves beside a picture (``._NAME``) is none. Others that are passed over are told by
    ``unread_pictures``.

    Raises:
        UserError: ``path`` does not exist, or is a folder without pictures.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"cannot find {path}; give an image or a folder of images")
    images = sorted(child for child in path.iterdir() if _is_picture(child))
    if not images:
        others = unread_pictures(path)
        also = f"; it cannot read {others[0].name} and its like, {len(others)} in all" if others else ""
        raise UserError(f"folder {path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}){also}")
    return images


def unread_pictures(path: Path) -> list[Path]:
    """Files directly in a folder that are pictures of kinds that ``list_images`` passes over, and ``._NAME`` files that
    look like pictures."""
    if not path.is_dir():
        return []
    kinds = IMAGE_SUFFIXES | OTHER_SUFFIXES
    return sorted(c for c in path.iterdir() if c.suffix.lower() in kinds and c.is_file() and not _is_picture(c))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._") and path.is_file()
