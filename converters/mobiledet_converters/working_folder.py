"""The temporary folder of an export, which is removed however the export ends: by an error, a full disk or a signal."""

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.atomic import is_full
from mobiledet.files.leftovers import owned_name, remove_abandoned
from mobiledet.files.locks import locked_target


@contextmanager
def working_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Create a temporary folder beside ``out`` for the duration of a ``with`` block.

    Reports before the slow work if ``out`` cannot be written. SIGTERM ends the block as Ctrl-C does.

    Args:
        out: output folder of the export.
        overwrite: whether ``out`` may be an existing bundle.

    Raises:
        UserError: ``out`` exists or cannot be written, or the disk became full within the block.
        KeyboardInterrupt: a signal arrived within the block.
    """
    if out.exists():
        if not overwrite:
            raise UserError(f"{out} exists already; choose another --out or pass --overwrite")
        if not (out / "bundle.json").is_file():
            raise UserError(f"{out} is not a mobiledet bundle, so it is not replaced; choose another --out")
    with _sigterm_as_interrupt(), locked_target(out, "writing a bundle"):
        folder = out.parent / owned_name(out.name, ".work")
        try:
            remove_abandoned(out.parent)
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise _unwritable(out, error) from error
        try:
            yield folder
        except OSError as error:
            if not is_full(error):
                raise
            raise _unwritable(out, error) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> UserError:
    return UserError(f"cannot write {out}: {(error.strerror or str(error)).lower()}; choose another --out")


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C. Only in the main thread, because Python delivers signals to no other."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
