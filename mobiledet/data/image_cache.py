"""A cache of decoded images on disk, so that images are decoded only in the first epoch. Imports no torch.

Each image has a file of its own, which is written atomically and read as a memory map. Its name is a checksum of
everything that its content depends on, so that a changed image or other settings never match an old file. Runs and
processes can share a folder without locks, and a killed process leaves only complete files.
"""

import hashlib
import math
import os
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import LabelledImage
from mobiledet.data.images import load_reduced, reduced_size
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file

VERSION = 2  # of the stored content; part of the file names
HEADER_BYTES = 128  # of an .npy file


class ImageCache:
    """Stores the results of ``load_reduced`` in a folder.

    Args:
        folder: cache folder; made on first use.
        height, width: the smallest size in pixels that images are decoded to.
    """

    def __init__(self, folder: Path, height: int, width: int) -> None:
        self.folder = folder
        self.least = height, width
        self._is_writing = True

    def load(self, image: LabelledImage) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The result of ``load_reduced``, read from the folder or else computed and stored there.

        An image whose size differs from the annotations is not stored. If the folder cannot be written, a warning is
        given, and images that are not stored are decoded each time.

        Raises:
            UserError: the image file is missing, truncated or cannot be decoded.
        """
        path = self._path(image)
        size = image.height, image.width
        if path and (stored := _read(path, reduced_size(size, self.least))) is not None:
            return stored, size
        pixels, original = load_reduced(image.path, *self.least, image.apply_orientation)
        if path and original == size and self._is_writing:
            self._write(path, pixels)
        return pixels, original

    def plan(self, images: Sequence[LabelledImage]) -> str:
        """Make the folder, check the free space, and describe the space that the images need in one line.

        Raises:
            UserError: the folder cannot be made, or its disk has too little space for the images not yet stored.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise UserError(
                f"cannot make the image cache {self.folder}: {(error.strerror or str(error)).lower()}"
            ) from error
        sizes = [_bytes(reduced_size((image.height, image.width), self.least)) for image in images]
        paths = [self._path(image) for image in images]
        lacking = sum(size for size, path in zip(sizes, paths, strict=True) if not (path and path.is_file()))
        if lacking > free:
            raise UserError(
                f"the image cache {self.folder} needs {lacking / 1e9:.3g} GB more for {len(images)} images, but its "
                f"disk has only {free / 1e9:.3g} GB free; choose a folder on another disk, or train without "
                "--cache-images"
            )
        return (
            f"image cache {self.folder}: {len(images)} decoded images take {sum(sizes) / 1e9:.3g} GB, "
            f"{lacking / 1e9:.3g} GB of it to be written in the first epoch ({free / 1e9:.3g} GB free)"
        )

    def _path(self, image: LabelledImage) -> Path | None:
        """The cache file of an image; None if the image file is missing."""
        try:
            status = image.path.stat()
        except OSError:
            return None
        identity = (VERSION, os.path.abspath(image.path), status.st_size, status.st_mtime_ns)
        settings = (image.height, image.width, *self.least, image.apply_orientation)
        name = hashlib.sha256(repr((identity, settings)).encode()).hexdigest()[:40]
        return self.folder / name[:2] / f"{name}.npy"

    def _write(self, path: Path, pixels: NDArray[np.uint8]) -> None:
        try:
            with atomic_file(path) as temporary, temporary.open("wb") as file:
                np.save(file, pixels)
        except UserError as error:
            self._is_writing = False
            warnings.warn(f"no more images are cached: {error}", stacklevel=2)


def _read(path: Path, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The stored pixels; None if they are missing or damaged, such as after a power failure."""
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return np.asarray(pixels) if pixels.shape == (*size, 3) and pixels.dtype == np.uint8 else None


def _bytes(size: tuple[int, int]) -> int:
    """Size of the cache file of an image with this height and width."""
    return HEADER_BYTES + 3 * math.prod(size)
