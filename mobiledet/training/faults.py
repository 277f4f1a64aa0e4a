"""Faults of the machine in a run, each told in one line with the way to go on: a full disk or memory, a killed
process."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull, is_full
from mobiledet.training.config import TrainConfig

# how torch and its back ends tell of a process that has gone
LOST_LOADER = re.compile(r"DataLoader worker \(pid.*\) (is killed|exited unexpectedly)")
LOST_PROCESS = re.compile(
    r"Connection closed by peer|Connection reset by peer|Broken pipe|Connection refused|Socket Timeout"
    r"|remote process exited|NCCL (communicator was aborted|error)|failed to recv|recvValue failed|sendBytes failed",
    re.IGNORECASE,
)
# of torch's allocators of all devices, of shared memory, of CUDA's libraries and of C++
NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|unable to allocate|bad_alloc"
    r"|ALLOC_FAILED",
    re.IGNORECASE,
)


def how_to_go_on(folder: Path | None) -> str:
    """The command that resumes a run."""
    return f"go on with: mobiledet train --resume {folder or 'RUN_FOLDER'}"


@contextmanager
def told_faults(folder: Path, processes: int) -> Iterator[None]:
    """Turn faults of the machine into errors for people.

    Args:
        folder: of the run.
        processes: that train together.

    Raises:
        UserError: the disk is full or fails, a loader process or another process of the run has ended.
    """
    try:
        yield
    except DiskFull as error:
        raise UserError(f"{error}; make room and {how_to_go_on(folder)}") from error
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise  # see ``told_memory``
        if error.errno is None or isinstance(error, BrokenPipeError):  # the reader of the words has gone (`| head`)
            raise
        reason = "no space left on the disk" if is_full(error) else (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {folder}: {reason}; {how_to_go_on(folder)}") from error
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if LOST_LOADER.search(text):
            if "Bus error" in text:  # of shared memory that is used up, as in a container
                raise UserError(
                    "a process that loads images found no shared memory; give the container more (docker run "
                    f"--shm-size=2g), or --workers 0; {how_to_go_on(folder)}"
                ) from error
            raise UserError(
                "a process that loads images was killed, perhaps for want of memory (lower --workers or --batch-size); "
                f"{how_to_go_on(folder)}"
            ) from error
        if processes > 1 and LOST_PROCESS.search(text):
            raise UserError(f"another process of the run has ended; {how_to_go_on(folder)}") from error
        raise


@contextmanager
def told_memory(config: TrainConfig) -> Iterator[None]:
    """Turn want of memory into an error for people.

    Args:
        config: of the run.

    Raises:
        UserError: memory has run out; says what to lower.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        is_it = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        if not is_it and not (isinstance(error, RuntimeError) and NO_MEMORY.search(str(error))):
            raise
        where = "GPU" if "CUDA" in str(error) or "MPS" in str(error) else "main"
        raise UserError(
            f"the {where} memory has run out; lower --batch-size (now {config.batch_size}) or --image-size (now "
            f"{config.image_size}), or raise --accumulate (now {config.accumulate}), which divides the batch into parts"
        ) from error
