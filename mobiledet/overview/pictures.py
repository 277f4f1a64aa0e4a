"""One look at the pixels of every picture: is it whole, and what does it look like in small."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mobiledet.data.images import load_reduced
from mobiledet.data.record import Picture
from mobiledet.data.resize import use_one_thread
from mobiledet.errors import UserError
from mobiledet.processes.cores import usable_cores

SIDE = 16  # of the small picture
DECODED = 32  # pixels that are decoded at least
CHUNK = 64  # pictures that a process looks at in one go
PARALLEL_FROM = 512  # fewer are done in this process: starting others takes longer


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen.

    Attributes:
        digest: of the file's bytes.
        small: SIDE x SIDE uint8, grey.
        problem: why the picture cannot be decoded; empty if it can.
    """

    digest: bytes
    small: NDArray[np.uint8]
    problem: str = ""


def look(picture: Picture) -> Look:
    """Read and decode one picture."""
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    try:
        digest = hashlib.blake2b(picture.path.read_bytes(), digest_size=16).digest()
        pixels, _ = load_reduced(picture.path, DECODED, DECODED, picture.apply_orientation)
    except UserError as error:
        return Look(b"", nothing, str(error))
    except OSError as error:
        return Look(b"", nothing, f"cannot read {picture.path}: {(error.strerror or str(error)).lower()}")
    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return Look(digest, np.asarray(grey))


def look_at_all(pictures: Sequence[Picture], quiet: bool = False) -> list[Look]:
    """Every picture, in all cores, with a progress bar on standard error."""
    columns = (TextColumn("looking at pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    looks: list[Look] = []
    with _looks(pictures) as found, Progress(*columns, console=Console(stderr=True, quiet=quiet)) as progress:
        task = progress.add_task("", total=len(pictures))
        for seen in found:
            looks.append(seen)
            if len(looks) % CHUNK == 0 or len(looks) == len(pictures):
                progress.update(task, completed=len(looks))
    return looks


class _looks:
    """The looks as they come; processes are started before the progress bar has a thread that a fork could disturb."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = pictures
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Iterator[Look]:
        workers = usable_cores()
        if workers == 1 or len(self._pictures) < PARALLEL_FROM:
            return map(look, self._pictures)
        self._pool = ProcessPoolExecutor(workers, initializer=use_one_thread)
        return self._pool.map(look, self._pictures, chunksize=CHUNK)

    def __exit__(self, *exception: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def name_of(path: Path, root: Path) -> str:
    """Of a picture on the page: relative to the data set where it lies in it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
