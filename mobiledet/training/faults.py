"""Faults of the machine during a run, such as a full disk or a killed process, as one-line errors with the command that
resumes the run."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull, is_full

# messages of torch and its communication back ends about a process that has ended
LOST_LOADER = re.compile(r"DataLoader worker \(pid.*\) (is killed|exited unexpectedly)")
LOST_PROCESS = re.compile(
    r"Connection closed by peer|Connection reset by peer|Broken pipe|Connection refused|Socket Timeout"
    r"|remote process exited|NCCL (communicator was aborted|error)|failed to recv|recvValue failed|sendBytes failed",
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
        if error.errno is None or isinstance(error, BrokenPipeError):  # the reader of the output has gone (`| head`)
            raise
        reason = "no space left on the disk" if is_full(error) else (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {folder}: {reason}; {resume_hint(folder)}") from error
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if LOST_LOADER.search(text):
            raise UserError(
                f"a process that loads images was killed, perhaps for lack of memory; {resume_hint(folder)}"
            ) from error
        if processes > 1 and LOST_PROCESS.search(text):
            raise UserError(f"another process of the run has ended; {resume_hint(folder)}") from error
        raise
