"""Weights on disk: reading files of tensors safely, and giving a network every one of them."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.errors import UserError

# what torch.load raises for damaged files and for files that only begin like a pickle
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
    """What ``torch.save`` wrote: tensors and plain values only, on the CPU; no code is run.

    Raises:
        UserError: the file is missing or damaged, or holds other objects.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise UserError(f"{path} is not a readable checkpoint: {first_line(error)}") from error


def _check_archive(path: Path) -> None:
    """Look through a file of torch's zip format before torch reads it: torch itself reads over changed bytes, and
    unpacks a compressed or twice-named part of any size into memory; it writes none of those.

    Raises:
        BadZipFile: a byte has changed, or the parts are not as torch writes them.
    """
    if not zipfile.is_zipfile(path):  # torch's older format has no check sums
        return
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in parts):
            raise zipfile.BadZipFile("a part of it is compressed or encrypted, which torch never does")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise zipfile.BadZipFile("its parts are larger than the file")
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"the check sum of its part {damaged} is wrong")


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: object) -> None:
    """Give a network the weights of a checkpoint; every tensor must find its place.

    Args:
        model: the network.
        weights: its state dict.
        source: where the weights come from, for messages.

    Raises:
        UserError: a name or a shape differs, as with a checkpoint of another model.
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
    """The message of an error that may span lines."""
    return (str(error).splitlines() or [type(error).__name__])[0]
