"""Faults of the machine in a run, each told in one line with the way to go on: a full disk, a killed process."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull, is_full

# how torch and its back ends tell of a process that has gone
LOST_LOADER = re.compile(r"DataLoader worker \(pid.*\) (is killed|exited unexpectedly)")
LOST_PROCESS = re.compile(
    r"Connection closed by peer|Connection reset by peer|Broken pipe|Connection refused|Socket Timeout"
    r"|remote process exited|NCCL (communicator was aborted|error)|failed to recv|recvValue failed|sendBytes failed",
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
        if error.errno is None or isinstance(error, BrokenPipeError):  # the reader of the words has gone (`| head`)
            raise
        reason = "no space left on the disk" if is_full(error) else (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {folder}: {reason}; {how_to_go_on(folder)}") from error
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if LOST_LOADER.search(text):
            raise UserError(
                f"a process that loads images was killed, perhaps for want of memory; {how_to_go_on(folder)}"
            ) from error
        if processes > 1 and LOST_PROCESS.search(text):
            raise UserError(f"another process of the run has ended; {how_to_go_on(folder)}") from error
        raise
