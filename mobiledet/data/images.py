"""Pictures: found, decoded and resized. Training, evaluation and devices all use these functions. No torch."""

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mobiledet.errors import UserError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})

# what Pillow raises on files that are truncated, broken, or not pictures
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)


def load_rgb(path: Path, apply_orientation: bool = False) -> NDArray[np.uint8]:
    """Decode a picture of any kind; grayscale, palette, CMYK become RGB, transparency is dropped.

    Args:
        path: the file.
        apply_orientation: turn the picture as its EXIF tag says. COCO annotations ignore that tag; photographs
            that a person will look at need it.

    Returns:
        H x W x 3, uint8, RGB.

    Raises:
        UserError: the file is missing, truncated or cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image) if apply_orientation else image
            if upright.mode.startswith("I;16"):  # 16 bits a pixel: convert() would clip them instead of scaling
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.array(upright.convert("RGB"))
    except UnidentifiedImageError as error:
        raise UserError(f"cannot decode image {path}: it is not a picture of a known format") from error
    except _DECODE_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"cannot decode image {path}: {' '.join(reason.split()).lower()}") from error


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
