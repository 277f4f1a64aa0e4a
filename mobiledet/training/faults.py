"""Faults of the machine during a run, such as a full disk, too little memory or a killed process, as one-line errors
with the command that resumes the run."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull, is_full
from mobiledet.training.config import TrainConfig

# messages of torch and its communication back ends about a process that has ended
LOST_LOADER = re.compile(r"DataLoader worker \(pid.*\) (is killed|exited unexpectedly)")
LOST_PROCESS = re.compile(
    r"Connection closed by peer|Connection reset by peer|Broken pipe|Connection refused|Socket Timeout"
    r"|remote process exited|NCCL (communicator was aborted|error)|failed to recv|recvValue failed|sendBytes failed",
    re.IGNORECASE,
)
# messages of torch's allocators for all devices and shared memory, of CUDA's libraries and of C++
NO_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|unable to allocate|bad_alloc"
    r"|ALLOC_FAILED",
    re.IGNORECASE,
)


def resume_hint(folder: Path | None) -> str:
    """The part of an error message that says how to resume a run."""
    return f"resume with: mobiledet train --resume {folder or 'RUN_FOLDER'}"


@contextmanager
def faults_as_user_errors(folder: Path, processes: int) -> Iterator[None]:
    """Turn faults of the machine into a ``UserError``.

    Args:
        folder: the run folder.
        processes: number of processes that train together.

    Raises:
        UserError: the disk is full or fails, or a loader process or another training process has ended.
    """
    try:
        yield
    except DiskFull as error:
        raise UserError(f"{error}; free some space and {resume_hint(folder)}") from error
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise  # see ``memory_errors_as_user_errors``
        if error.errno is None or isinstance(error, BrokenPipeError):  # the reader of the output has gone (`| head`)
            raise
        reason = "no space left on the disk" if is_full(error) else (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {folder}: {reason}; {resume_hint(folder)}") from error
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if LOST_LOADER.search(text):
            if "Bus error" in text:  # shared memory is used up, as in a container
                raise UserError(
                    "a process that loads images found no shared memory; give the container more (docker run "
                    f"--shm-size=2g), or --workers 0; {resume_hint(folder)}"
                ) from error
            raise UserError(
                "a process that loads images was killed, perhaps for lack of memory (lower --workers or --batch-size); "
                f"{resume_hint(folder)}"
            ) from error
        if processes > 1 and LOST_PROCESS.search(text):
            raise UserError(f"another process of the run has ended; {resume_hint(folder)}") from error
        raise


@contextmanager
def memory_errors_as_user_errors(config: TrainConfig) -> Iterator[None]:
    """Turn errors from too little memory into a ``UserError``.

    Args:
        config: settings of the run.

    Raises:
        UserError: memory has run out; the message says which settings to lower.
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
