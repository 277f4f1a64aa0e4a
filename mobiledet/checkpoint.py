"""Checkpoint files: weights, their ModelSpec and, to resume a run, the training state."""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull, atomic_file, is_full
from mobiledet.records import load_json
from mobiledet.spec import ModelSpec
from mobiledet.weights import CHECKPOINT_FORMAT, check_weights, first_line, load_weights, read_tensors

VERSION = 1
MAX_DATA_BYTES = 2**30  # of the decompressed list of images


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint file.

    Attributes:
        spec: description of the network.
        weights: its state dict; the averaged weights if training averages them.
        training: training state (optimiser, raw weights, progress); None in a checkpoint for inference.
        data: the lists of training and validation images as JSON values (see ``data.record``); None if unknown.
    """

    spec: ModelSpec
    weights: dict[str, Tensor]
    training: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint, previous: Path | None = None) -> None:
    """Write a checkpoint file atomically.

    Args:
        path: the file.
        checkpoint: its content.
        previous: path to which an existing file is moved; None overwrites it.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        content = {
            "format": CHECKPOINT_FORMAT,
            "version": VERSION,
            "spec": json.dumps(checkpoint.spec.to_json()),
            "weights": checkpoint.weights,
            "training": checkpoint.training,
            "data": _packed(checkpoint.data),
        }
        _save(content, temporary, path)
        if previous and path.is_file():
            os.replace(path, previous)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint safely: tensors and plain values only, on the CPU.

    Raises:
        UserError: the file is missing, damaged, or not a mobiledet checkpoint.
    """
    content = read_tensors(path)
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT_FORMAT:
        raise UserError(f"{path} is not a mobiledet checkpoint; give one that `mobiledet train` wrote")
    if content.get("version") != VERSION:
        version = str(content.get("version"))[:20]
        raise UserError(f"{path}: checkpoint version {version} is not {VERSION}; use the matching mobiledet")
    try:
        odd = content.keys() - {"data"} ^ {"format", "version", "spec", "weights", "training"}
        if odd:
            raise ValueError(f"{str(min(odd, key=str))[:40]} is missing or unknown")
        # training has always used the mean when shrinking images, so a new export does, too
        spec = ModelSpec.from_json(load_json(content["spec"].encode()), source=str(path), older_sampling="mean")
        weights = dict(content["weights"])
        if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()):
            raise ValueError("its weights are not tensors with names")
        if not isinstance(content["training"], dict | None):
            raise ValueError("its training state is not a dictionary")
        data = _unpacked(content.get("data"))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, zlib.error) as error:
        raise UserError(f"{path} is a damaged checkpoint: {first_line(error)}") from error
    return Checkpoint(spec, weights, content["training"], data)


def check_size(checkpoint: Checkpoint, path: Path) -> None:
    """Compare the shapes of the weights with the network of the spec without allocating it, because a spec of a few
    bytes can describe a network that fills the memory.

    Raises:
        UserError: names or shapes differ, or the network does not exist.
    """
    try:
        with torch.device("meta"):  # shapes only
            network = detector_from_spec(checkpoint.spec)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    check_weights(network, _without_training_parts(network, checkpoint.weights), path)


def _without_training_parts(detector: Detector, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if not detector.is_training_part(name)}


def _save(content: dict[str, Any], temporary: Path, path: Path) -> None:
    """``torch.save`` with clear errors; by itself it reports a full disk as an unexpected file position."""
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:
        cause = error.__context__
        full = isinstance(cause, OSError) and is_full(cause)
        if full or "unexpected pos" in str(error) or "PytorchStreamWriter" in str(error):
            raise DiskFull(f"cannot write {path}: no space left on the disk, or the file is too large") from error
        raise UserError(f"cannot write {path}: {first_line(error)}; check the disk") from error


def _packed(data: dict[str, Any] | None) -> Tensor | None:
    """Compressed JSON: a hundred thousand file names take less than a megabyte."""
    if data is None:
        return None
    return torch.frombuffer(bytearray(zlib.compress(json.dumps(data).encode())), dtype=torch.uint8)


def _unpacked(packed: Tensor | None) -> dict[str, Any] | None:
    if packed is None:
        return None
    if packed.dtype != torch.uint8 or packed.ndim != 1:
        raise ValueError("its list of images is not a vector of bytes")
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(packed.numpy().tobytes(), MAX_DATA_BYTES)
    if not unpacking.eof:
        raise ValueError("its list of images is too long or cut off")
    values = load_json(text)
    if not isinstance(values, dict):
        raise ValueError("its list of images is not an object")
    return values


def load_detector(path: Path) -> tuple[Detector, ModelSpec]:
    """The trained detector of a checkpoint, in evaluation mode on the CPU, without the parts that only training uses.

    Raises:
        UserError: the file cannot be read, or its weights do not match its spec.
    """
    checkpoint = load_checkpoint(path)
    check_size(checkpoint, path)
    detector = detector_from_spec(checkpoint.spec)
    load_weights(detector, _without_training_parts(detector, checkpoint.weights), path)
    return detector.eval(), checkpoint.spec
