"""Decoded pictures on disk, so that only the first epoch pays for decoding. No torch.

A file for each picture, written whole or not at all, read by memory map. Its name is a checksum of all that its
content depends on, so a picture that has changed, or other settings, find nothing old. Runs and processes share a
folder without locks; one that is killed while it fills leaves what is complete.
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

VERSION = 2  # of what is stored; part of the names
HEADER_BYTES = 128  # of a .npy file


class ImageCache:
    """Pictures as ``load_reduced`` gives them, kept in a folder.

    Args:
        folder: made on first use.
        height, width: the least size that pictures are decoded to, pixels.
    """

    def __init__(self, folder: Path, height: int, width: int) -> None:
        self.folder = folder
        self.least = height, width
        self._is_writing = True

    def load(self, image: LabelledImage) -> tuple[NDArray[np.uint8], tuple[int, int]]:
        """The same as ``load_reduced``, from the folder if it is there; else it is decoded and stored.

        A picture that is not of the size in the annotations is not stored. When the folder cannot take more, a warning
        says so, and pictures are decoded anew each time.

        Raises:
            UserError: the picture's file is missing, truncated or cannot be decoded.
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
        """Make the folder and say what space the pictures take.

        Raises:
            UserError: the folder cannot be written, or its disk has no room for the pictures that it lacks.
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
                f"disk has {free / 1e9:.3g} GB left; choose a folder on another disk, or train without --cache-images"
            )
        return (
            f"image cache {self.folder}: {len(images)} decoded images take {sum(sizes) / 1e9:.3g} GB, "
            f"{lacking / 1e9:.3g} GB of it to be written in the first epoch ({free / 1e9:.3g} GB free)"
        )

    def _path(self, image: LabelledImage) -> Path | None:
        """Where a picture is stored; None if its file is missing."""
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
    """The stored pixels; None if they are missing, or damaged, as after a power failure."""
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return np.asarray(pixels) if pixels.shape == (*size, 3) and pixels.dtype == np.uint8 else None


def _bytes(size: tuple[int, int]) -> int:
    """Of a stored picture."""
    return HEADER_BYTES + 3 * math.prod(size)
