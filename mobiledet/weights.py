"""Reads files of tensors safely, and loads weights into a network completely or not at all."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.errors import UserError

# what torch.load raises for damaged files, and for other files that begin like a pickle
UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    MemoryError,
    AssertionError,
)
CHECKPOINT_FORMAT = "mobiledet checkpoint"  # the entry "format" of the files that `mobiledet train` writes


def read_tensors(path: Path) -> Any:
    """Read a file of ``torch.save`` on the CPU; only tensors and plain values are accepted, and no code is run.

    Raises:
        UserError: the file is missing or damaged, or contains other objects.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise UserError(f"{path} is not a readable checkpoint: {first_line(error)}") from error


def _check_archive(path: Path) -> None:
    """Check a file in torch's zip format before torch reads it, because torch does not verify checksums and
    decompresses entries of any size into memory.

    Raises:
        BadZipFile: a byte has changed, or the entries are not as torch writes them.
    """
    if not zipfile.is_zipfile(path):  # torch's older format has no checksums
        return
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in parts):
            raise zipfile.BadZipFile("a part of it is compressed or encrypted, which torch never does")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise zipfile.BadZipFile("its parts are larger than the file")
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"the checksum of its part {damaged} is wrong")


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: object) -> None:
    """Load the weights of a checkpoint into a network; all names and shapes must match.

    Args:
        model: the network.
        weights: its state dict.
        source: where the weights come from, for error messages.

    Raises:
        UserError: a name or a shape differs, for example in a checkpoint of another model.
    """
    check_weights(model, weights, source)
    model.load_state_dict(dict(weights))


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], source: object) -> None:
    """Compare names and shapes with those of a network.

    Raises:
        UserError: one differs; the message names it.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    differing = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if differing:
        name = differing[0]
        raise UserError(
            f"{source} is a checkpoint of another model: {len(differing)} tensors differ, such as {name} "
            f"(model {wanted.get(name, 'has none')}, file {given.get(name, 'has none')})"
        )


def first_line(error: Exception) -> str:
    """The first line of an error's message, or the name of its type if the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]
