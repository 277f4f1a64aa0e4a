"""Finding and decoding image files, for training, evaluation and devices alike. Imports no torch."""

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

# decoders for files from outside; some of Pillow's others start programs, such as the one for EPS
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
# decoding takes about 1 GB at this size; only one phone camera exceeds it, decompression bombs do
MAX_PIXELS = 120_000_000
MAX_REDUCTION = 8  # largest factor by which a JPEG decoder shortens the sides
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # MAX_PIXELS replaces Pillow's limit
# a file, its bytes, or pixels: H x W x 3, uint8, RGB
ImageSource = Path | bytes | NDArray[np.uint8]
SizeCheck = Callable[[int, int], str]  # from height and width to an error message, or an empty string
ORIENTATION_TAG = 0x0112  # EXIF

# possible maxima of grey values in images of 32-bit integers and of floats
GREY_RANGES = {"I": (255.0, 65535.0, 2.0**32 - 1), "F": (1.0, 255.0, 65535.0, 2.0**32 - 1)}

# image formats that are not decoded here
OTHER_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".psd", ".svg", ".pdf"}
)

# what Pillow raises for files that are truncated, broken, or not images
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
    """Decode an image file. Greyscale, palette and CMYK images become RGB; transparency is dropped.

    Greyscale of more than 8 bits is scaled down: 16-bit integers by 256, 32-bit integers and floats by the smallest of
    the ranges 0..1 (floats only), 0..255, 0..65535 and 0..2^32-1 that contains all values. The size in the header is
    checked before anything is decoded.

    Args:
        path: the file.
        apply_orientation: rotate the image according to its EXIF tag, see ``headers.choose_reading``.
        check_size: returns an error message if height and width of the result are not acceptable.

    Returns:
        H x W x 3, uint8, RGB.

    Raises:
        UserError: the file is missing, truncated, too large or cannot be decoded, or ``check_size`` gives an error.
    """
    with open_image(path, path, check_size, apply_orientation) as image:
        return _decoded(image, apply_orientation)


def decode_rgb(content: bytes, name: str, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """Like ``load_rgb`` for the bytes of a file; ``name`` is used in error messages."""
    with open_image(io.BytesIO(content), name) as image:
        return _decoded(image, apply_orientation)


def read_rgb(source: ImageSource, name: Path, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """Like ``load_rgb`` for a file, its bytes, or pixels, which are returned unchanged; ``name`` is used in error
    messages about bytes."""
    if isinstance(source, Path):
        return load_rgb(source, apply_orientation)
    return decode_rgb(source, str(name), apply_orientation) if isinstance(source, bytes) else source


def pillow_rgb(image: Image.Image, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """Like ``load_rgb`` for an image that Pillow has opened.

    Raises:
        UserError: it cannot be decoded.
    """
    with _decoding_errors("given as a PIL image"):
        return _decoded(image, apply_orientation)


def _decoded(image: Image.Image, apply_orientation: bool) -> NDArray[np.uint8]:
    image.load()
    return _rgb(ImageOps.exif_transpose(image) if apply_orientation else image)


class Decoded(NamedTuple):
    """A decoded image, possibly at reduced size.

    Attributes:
        pixels: H x W x 3, uint8, RGB.
        height, width: size of the full image in pixels.
        factor: factor by which the decoder has reduced both sides, which are rounded up to whole pixels.
    """

    pixels: NDArray[np.uint8]
    height: int
    width: int
    factor: int

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width of the full image in units of ``pixels``; not whole if the sides are no multiples of
        ``factor``."""
        return self.height / self.factor, self.width / self.factor


def load_for_input(
    path: Path, spec: InputSpec, apply_orientation: bool = False, check_size: SizeCheck | None = None
) -> Decoded:
    """Decode an image for a model: at full size, except for a JPEG whose sides ``resize`` shortens 8 times or more.

    For such a JPEG libjpeg skips most of the work and returns the mean of each block of 8 x 8 pixels, up to rounding.
    At factors 2 and 4 its result is sharper than the block means and would give other detections than on devices that
    decode at full size, so these factors are not used.

    Raises:
        UserError: as in ``load_rgb``.
    """
    with open_image(path, path, check_size, apply_orientation) as image:
        return _scaled_down(image, _size_for(spec), apply_orientation, least_factor=MAX_REDUCTION)


def decode_for_input(content: bytes, name: str, spec: InputSpec, apply_orientation: bool = False) -> Decoded:
    """Like ``load_for_input`` for the bytes of a file; ``name`` is used in error messages."""
    with open_image(io.BytesIO(content), name) as image:
        return _scaled_down(image, _size_for(spec), apply_orientation, least_factor=MAX_REDUCTION)


def read_for_input(source: ImageSource, name: Path, spec: InputSpec, apply_orientation: bool = False) -> Decoded:
    """Like ``load_for_input`` for a file, its bytes, or pixels, which are returned unchanged; ``name`` is used in error
    messages about bytes."""
    if isinstance(source, Path):
        return load_for_input(source, spec, apply_orientation)
    if isinstance(source, bytes):
        return decode_for_input(source, str(name), spec, apply_orientation)
    return Decoded(source, source.shape[0], source.shape[1], 1)


def load_reduced(
    path: Path,
    height: int,
    width: int,
    apply_orientation: bool = False,
    check_size: SizeCheck | None = None,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode an image at full size or with its sides divided by 2, 4 or 8: the smallest that still has height x width
    pixels.

    A JPEG is reduced by its decoder, which gives approximately the means of blocks; other formats are reduced to
    exactly those means.

    Returns:
        the pixels as in ``load_rgb``, and (height, width) of the full image.

    Raises:
        UserError: as in ``load_rgb``.
    """
    with open_image(path, path, check_size, apply_orientation) as image:
        decoded = _scaled_down(image, lambda *_: (height, width), apply_orientation)
    original = decoded.height, decoded.width
    rest = reduction(original, (height, width)) // decoded.factor
    return block_means(decoded.pixels, rest, rest), original


def reduced_size(size: tuple[int, int], least: tuple[int, int]) -> tuple[int, int]:
    """Height and width to which ``load_reduced`` decodes an image of ``size`` if ``least`` is the smallest size."""
    factor = reduction(size, least)
    return -(-size[0] // factor), -(-size[1] // factor)


def reduction(size: tuple[int, int], least: tuple[int, int]) -> int:
    """The factor by which ``load_reduced`` divides the sides."""
    return min(MAX_REDUCTION, *(block_size(side, asked) for side, asked in zip(size, least, strict=True)))


def _size_for(spec: InputSpec) -> Callable[[int, int], tuple[int, int]]:
    """A function from an image's size to the size that ``resize`` reduces it to for a model, both height and width."""

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
    begins_elsewhere = mirrored and (height % factor or width % factor)  # blocks would start at another corner
    if factor < least_factor or begins_elsewhere:
        return Decoded(_decoded(image, apply_orientation), height, width, 1)
    image.draft("RGB", (stored[0] // factor, stored[1] // factor))
    return Decoded(_decoded(image, apply_orientation), height, width, 1 if image.size == stored else factor)


def _is_turned(image: Image.Image) -> bool:
    """Whether the EXIF orientation exchanges height and width."""
    return bool(image.getexif().get(ORIENTATION_TAG, 1) >= 5)


@contextmanager
def open_image(
    source: Path | BinaryIO, name: object, check_size: SizeCheck | None = None, apply_orientation: bool = False
) -> Iterator[Image.Image]:
    """Open an image file without decoding it; errors in the block become a ``UserError`` that names the file."""
    with _decoding_errors(name), Image.open(source, formats=FORMATS) as image:
        pixels = math.prod(image.size)
        if pixels > MAX_PIXELS:
            size = f"{image.width} x {image.height}"
            raise UserError(f"cannot decode image {name}: {size} pixels are more than {MAX_PIXELS // 10**6} million")
        if check_size:
            width, height = image.size[::-1] if apply_orientation and _is_turned(image) else image.size
            problem = check_size(height, width)
            if problem:
                raise UserError(problem)
        yield image


@contextmanager
def _decoding_errors(name: object) -> Iterator[None]:
    """Turn decoding errors in the block into a ``UserError``."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise UserError(f"cannot decode image {name}: it is not an image of a known format") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UserError(f"cannot decode image {name}: it has too many pixels for the memory") from error
    except _DECODE_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot decode image {name}: {' '.join(reason.split()).lower()}") from error


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of a decoded image."""
    if image.mode.startswith("I;16"):  # 16 bits per pixel: convert() would clip instead of scale
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):  # 32 bits per pixel: the same
        image = Image.fromarray(_scaled(np.asarray(image), GREY_RANGES[image.mode]))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _scaled(grey: NDArray[np.generic], tops: tuple[float, ...]) -> NDArray[np.uint8]:
    """Scale grey values to 0..255 from the smallest range in ``tops`` that contains them; negative values and NaN
    become black."""
    values = np.nan_to_num(np.asarray(grey, np.float64), nan=0, posinf=0, neginf=0)
    top = next((top for top in tops if values.max(initial=0) <= top), tops[-1])
    if top > 1:  # low bits are dropped, as for 16-bit images
        return np.clip(values // ((top + 1) / 256), 0, 255).astype(np.uint8)
    return np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)


def list_images(path: Path) -> list[Path]:
    """The image files at ``path``: the file itself, or the images directly in the folder, sorted.

    macOS's ``._NAME`` files are skipped. ``unsupported_images`` lists what else is skipped.

    Raises:
        UserError: ``path`` does not exist, or is a folder without images.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"cannot find {path}; give an image or a folder of images")
    images = sorted(child for child in path.iterdir() if _is_image(child))
    if not images:
        others = unsupported_images(path)
        also = f"; it cannot read {others[0].name} and its like, {len(others)} in all" if others else ""
        raise UserError(f"folder {path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}){also}")
    return images


def unsupported_images(path: Path) -> list[Path]:
    """Files directly in a folder that ``list_images`` skips although they look like images: those in unsupported
    formats and ``._NAME`` files."""
    if not path.is_dir():
        return []
    kinds = IMAGE_SUFFIXES | OTHER_SUFFIXES
    return sorted(c for c in path.iterdir() if c.suffix.lower() in kinds and c.is_file() and not _is_image(c))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._") and path.is_file()
