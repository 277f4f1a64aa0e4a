"""The checkpoint on disk: weights, their ModelSpec and, in a run's last one, what is needed to train on."""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mobiledet.atomic import atomic_file
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec
from mobiledet.weights import CHECKPOINT_FORMAT, first_line, load_weights, read_tensors

VERSION = 1
MOST_DATA_BYTES = 2**30  # of the list of pictures, unpacked


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        spec: the network that the weights belong to.
        weights: its state dict; the averaged weights where training keeps an average.
        training: optimiser, raw weights, progress; None in a checkpoint meant for use alone.
        data: the lists of pictures that the run learnt from and was validated on, as JSON values (``data.record``);
            None in one that tells nothing of them.
    """

    spec: ModelSpec
    weights: dict[str, Tensor]
    training: dict[str, Any] | None = None
    data: dict[str, Any] | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint, previous: Path | None = None) -> None:
    """Write the file whole or not at all.

    Args:
        path: the file.
        checkpoint: its content.
        previous: what the file becomes that is replaced; None drops it.

    Raises:
        UserError: it cannot be written.
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
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch reports a full disk this way
            raise UserError(f"cannot write {path}: {first_line(error)}; check the disk") from error
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
        raise UserError(
            f"{path}: checkpoint version {content.get('version')} is not {VERSION}; use the matching mobiledet"
        )
    try:
        spec = ModelSpec.from_json(json.loads(content["spec"]), source=str(path))
        return Checkpoint(spec, dict(content["weights"]), content["training"], _unpacked(content.get("data")))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise UserError(f"{path} is a damaged checkpoint: {first_line(error)}") from error


def _packed(data: dict[str, Any] | None) -> Tensor | None:
    """JSON, compressed: a hundred thousand names take less than a megabyte."""
    if data is None:
        return None
    return torch.frombuffer(bytearray(zlib.compress(json.dumps(data).encode())), dtype=torch.uint8)


def _unpacked(packed: Tensor | None) -> dict[str, Any] | None:
    if packed is None:
        return None
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(packed.numpy().tobytes(), MOST_DATA_BYTES)
    if not unpacking.eof:
        raise ValueError("its list of pictures is too long or cut off")
    values: dict[str, Any] = json.loads(text)
    return values


def load_detector(path: Path) -> tuple[Detector, ModelSpec]:
    """The trained detector of a checkpoint, in evaluation mode on the CPU, without what only training has.

    Raises:
        UserError: the file cannot be read, or its weights do not fit its own spec.
    """
    checkpoint = load_checkpoint(path)
    detector = detector_from_spec(checkpoint.spec)
    weights = {name: t for name, t in checkpoint.weights.items() if not detector.is_training_part(name)}
    load_weights(detector, weights, path)
    return detector.eval(), checkpoint.spec
