"""The checkpoint on disk: weights, their ModelSpec and, in a run's last one, what is needed to train on."""

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.atomic import atomic_file
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec

FORMAT = "mobiledet checkpoint"
VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        spec: the network that the weights belong to.
        weights: its state dict; the averaged weights where training keeps an average.
        training: optimiser, raw weights, progress; None in a checkpoint meant for use alone.
    """

    spec: ModelSpec
    weights: dict[str, Tensor]
    training: dict[str, Any] | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the file whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_file(path) as temporary:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "spec": json.dumps(checkpoint.spec.to_json()),
            "weights": checkpoint.weights,
            "training": checkpoint.training,
        }
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # torch reports a full disk this way
            raise UserError(f"cannot write {path}: {_first_line(error)}; check the disk") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint safely: tensors and plain values only, on the CPU.

    Raises:
        UserError: the file is missing, damaged, or not a mobiledet checkpoint.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, zipfile.BadZipFile, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not a readable checkpoint: {_first_line(error)}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path} is not a mobiledet checkpoint; give one that `mobiledet train` wrote")
    if content.get("version") != VERSION:
        raise UserError(
            f"{path}: checkpoint version {content.get('version')} is not {VERSION}; use the matching mobiledet"
        )
    spec = ModelSpec.from_json(json.loads(content["spec"]), source=str(path))
    return Checkpoint(spec, content["weights"], content["training"])


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Give a network the weights of a checkpoint; every tensor must find its place.

    Raises:
        UserError: a name or a shape differs, as with a checkpoint of another model.
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
    model.load_state_dict(dict(weights))


def load_detector(path: Path) -> tuple[Detector, ModelSpec]:
    """The trained detector of a checkpoint, in evaluation mode on the CPU.

    Raises:
        UserError: the file cannot be read, or its weights do not fit its own spec.
    """
    checkpoint = load_checkpoint(path)
    detector = detector_from_spec(checkpoint.spec)
    load_weights(detector, checkpoint.weights, path)
    return detector.eval(), checkpoint.spec


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
