"""Fine-tuning: training starts from the weights of a detector, possibly one with other classes."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from mobiledet.checkpoint import Checkpoint, check_size, load_checkpoint
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec, sides_text
from mobiledet.training.config import TrainConfig
from mobiledet.weights import check_weights
from mobiledet.zoo.catalogue import ZOO
from mobiledet.zoo.checkpoints import find_checkpoint, print_progress


def load_start_checkpoint(path: Path, config: TrainConfig) -> Checkpoint:
    """The checkpoint that a run starts from.

    Raises:
        UserError: it cannot be read, or its backbone or detector differs from the settings.
    """
    checkpoint = load_checkpoint(path)
    check_size(checkpoint, path)
    spec = checkpoint.spec
    if (spec.backbone, spec.detector) != (config.backbone, config.detector):
        raise UserError(
            f"{path} holds {spec.detector} on {spec.backbone}, not {config.detector} on {config.backbone}; "
            f"give --backbone {spec.backbone} --detector {spec.detector}"
        )
    return checkpoint


def network_settings(init: Path) -> dict[str, Any]:
    """The settings of a run that describe the network of a checkpoint and its input.

    Args:
        init: a checkpoint, or the name of a published detector.

    Raises:
        UserError: the checkpoint cannot be read, or the published detector cannot be had.
    """
    spec = load_checkpoint(find_checkpoint(init, print_progress)).spec
    return {
        "backbone": spec.backbone,
        "detector": spec.detector,
        "image_size": sides_text(spec.input.height, spec.input.width),
        "resize": spec.input.resize,
        "letterbox_fill": spec.input.padding,
        "letterbox_place": spec.input.placement,
    }


def with_start_checkpoint(config: TrainConfig) -> TrainConfig:
    """The settings with the file of a published detector that ``init`` or ``pretrained`` names. For ``--qat`` also with
    backbone, detector and input of that checkpoint, and with 32-bit precision, in which rounding is simulated.

    Raises:
        UserError: ``--qat`` without ``init``, or the checkpoint cannot be had or read.
    """
    if config.pretrained in ZOO:
        config = dataclasses.replace(config, pretrained=str(find_checkpoint(Path(config.pretrained), print_progress)))
    if config.init is None:
        if config.qat:
            raise UserError("--qat starts from a trained detector; give its checkpoint with --init")
        return config
    path = find_checkpoint(config.init, print_progress)
    if not config.qat:
        return dataclasses.replace(config, init=path)
    precision = "32-true" if config.precision == "auto" else config.precision
    return dataclasses.replace(config, init=path, **network_settings(path), precision=precision)


def load_start_weights(detector: Detector, spec: ModelSpec, checkpoint: Checkpoint, source: Path) -> str:
    """Load the weights of a checkpoint into a detector. If the classes differ, the layers that depend on them keep
    their initial weights.

    Returns:
        a line that says which tensors were loaded and which were not.

    Raises:
        UserError: tensors that do not depend on the classes have another shape, for example because anchors differ.
    """
    class_dependent = set() if spec.labels == checkpoint.spec.labels else class_tensors(spec)
    own = detector.state_dict()
    stored = {
        name: tensor
        for name, tensor in checkpoint.weights.items()
        if name in own or not detector.is_training_part(name)  # the file may have training parts that this run lacks
    }
    # a checkpoint for inference need not contain the parts that only training uses
    missing = {name for name in own.keys() - stored.keys() if detector.is_training_part(name)}
    used = {name: tensor for name, tensor in stored.items() if name not in class_dependent}
    check_weights(detector, {**used, **{name: own[name] for name in class_dependent | missing}}, source)
    detector.load_state_dict({**own, **used})
    loaded = f"{len(used)} of {len(own)} tensors from {source}"
    before, now = checkpoint.spec.input.resize_text, spec.input.resize_text
    if before != now:
        loaded += f"; its images were resized by {before}, here by {now}"
    if missing:
        loaded += f"; initialised randomly, because the file lacks them: {', '.join(detector.training_parts)}"
    if not class_dependent:
        return f"{loaded}: the classes are the same"
    classes = f"{checkpoint.spec.num_classes} in the file, {spec.num_classes} here"
    named = ", ".join(sorted(class_dependent - missing))
    return f"{loaded}; initialised randomly, because the classes differ ({classes}): {named}"


def class_tensors(spec: ModelSpec) -> set[str]:
    """Names of a detector's tensors whose shape depends on the number of classes."""
    one_more = dataclasses.replace(
        spec, labels=(*spec.labels, "another"), category_ids=(*spec.category_ids, max(spec.category_ids) + 1)
    )
    shapes, other_shapes = (_shapes(s) for s in (spec, one_more))
    return {name for name in shapes if shapes[name] != other_shapes[name]}


def _shapes(spec: ModelSpec) -> dict[str, torch.Size]:
    """Shapes of all tensors of a detector, including the parts that only training uses."""
    detector = detector_from_spec(spec)
    detector.add_training_parts()
    return {name: tensor.shape for name, tensor in detector.state_dict().items()}
