"""Decodes every image once, for its thumbnail and checksum, or the reason why it cannot be decoded."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.data.images import load_reduced
from mobiledet.data.record import ImageFile
from mobiledet.data.resize import use_one_thread
from mobiledet.errors import UserError
from mobiledet.processes.cores import usable_cores
from mobiledet.progress import counting_bar

SIDE = 16  # pixels along each side of the thumbnail
DECODED = 32  # smallest height and width that images are decoded to
CHUNK = 64  # images per task of a process
PARALLEL_FROM = 512  # fewer images are decoded in this process, because starting others takes longer


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """What is kept of a decoded image.

    Attributes:
        digest: checksum of the file's bytes.
        small: the thumbnail, SIDE x SIDE uint8, greyscale.
        problem: why the image cannot be decoded; empty if it can.
    """

    digest: bytes
    small: NDArray[np.uint8]
    problem: str = ""


def summarise_image(image: ImageFile) -> ImageSummary:
    """Read and decode one image."""
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    try:
        digest = hashlib.blake2b(image.path.read_bytes(), digest_size=16).digest()
        pixels, _ = load_reduced(image.path, DECODED, DECODED, image.apply_orientation)
    except UserError as error:
        return ImageSummary(b"", nothing, str(error))
    except OSError as error:
        return ImageSummary(b"", nothing, f"cannot read {image.path}: {(error.strerror or str(error)).lower()}")
    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return ImageSummary(digest, np.asarray(grey))


def summarise_images(images: Sequence[ImageFile], quiet: bool = False) -> list[ImageSummary]:
    """Read and decode all images on all cores, with a progress bar on standard error."""
    summaries: list[ImageSummary] = []
    with _Summaries(images) as found, counting_bar(quiet) as progress:
        task = progress.add_task("decoding images", total=len(images))
        for summary in found:
            summaries.append(summary)
            if len(summaries) % CHUNK == 0 or len(summaries) == len(images):
                progress.update(task, completed=len(summaries))
    return summaries


class _Summaries:
    """Yields the results in order. It starts its processes before the progress bar starts a thread, which a fork could
    disturb."""

    def __init__(self, images: Sequence[ImageFile]) -> None:
        self._images = images
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Iterator[ImageSummary]:
        workers = usable_cores()
        if workers == 1 or len(self._images) < PARALLEL_FROM:
            return map(summarise_image, self._images)
        self._pool = ProcessPoolExecutor(workers, initializer=use_one_thread)
        return self._pool.map(summarise_image, self._images, chunksize=CHUNK)

    def __exit__(self, *exception: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def name_of(path: Path, root: Path) -> str:
    """The name of an image on the page: its path relative to the data set if it is inside."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
