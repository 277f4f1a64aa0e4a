"""Fine-tuning: the start from a detector that was trained on other classes."""

import dataclasses
from pathlib import Path

import torch

from mobiledet.checkpoint import Checkpoint, check_size, load_checkpoint
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec, sides_text
from mobiledet.training.config import TrainConfig
from mobiledet.weights import check_weights


def load_start(path: Path, config: TrainConfig) -> Checkpoint:
    """The checkpoint that a run starts from.

    Raises:
        UserError: it cannot be read, or holds another backbone or detector than the settings name.
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


def like_start(config: TrainConfig) -> TrainConfig:
    """The settings with the network of the checkpoint that a run with ``--qat`` starts from; rounding is simulated in
    32 bits.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if config.init is None:
        raise UserError("--qat starts from a trained detector; give its checkpoint with --init")
    spec = load_checkpoint(config.init).spec
    return dataclasses.replace(
        config,
        backbone=spec.backbone,
        detector=spec.detector,
        image_size=sides_text(spec.input.height, spec.input.width),
        resize=spec.input.resize,
        letterbox_fill=spec.input.padding,
        letterbox_place=spec.input.placement,
        precision="32-true" if config.precision == "auto" else config.precision,
    )


def start_from(detector: Detector, spec: ModelSpec, checkpoint: Checkpoint, source: Path) -> str:
    """Give a detector the weights of a checkpoint; the layers that depend on the classes stay as they are where the
    classes differ.

    Returns:
        a line that says what was loaded and what was not.

    Raises:
        UserError: tensors differ that do not depend on the classes, such as those of other anchors.
    """
    anew = set() if spec.labels == checkpoint.spec.labels else class_tensors(spec)
    own = detector.state_dict()
    there = {
        name: tensor
        for name, tensor in checkpoint.weights.items()
        if name in own or not detector.is_training_part(name)  # training may do without parts that the file has
    }
    # a checkpoint meant for use alone need not have what only training has
    missing = {name for name in own.keys() - there.keys() if detector.is_training_part(name)}
    given = {name: tensor for name, tensor in there.items() if name not in anew}
    check_weights(detector, {**given, **{name: own[name] for name in anew | missing}}, source)
    detector.load_state_dict({**own, **given})
    loaded = f"{len(given)} of {len(own)} tensors from {source}"
    before, now = checkpoint.spec.input.resize_text, spec.input.resize_text
    if before != now:
        loaded += f"; pictures were resized by {before} there, by {now} here"
    if missing:
        loaded += f"; anew, because the file has none of it: {', '.join(detector.training_parts)}"
    if not anew:
        return f"{loaded}: the classes are the same"
    classes = f"{checkpoint.spec.num_classes} there, {spec.num_classes} here"
    named = ", ".join(sorted(anew - missing))
    return f"{loaded}; anew, because the classes differ ({classes}): {named}"


def class_tensors(spec: ModelSpec) -> set[str]:
    """Names of a detector's tensors whose shape depends on the number of classes."""
    one_more = dataclasses.replace(
        spec, labels=(*spec.labels, "another"), category_ids=(*spec.category_ids, max(spec.category_ids) + 1)
    )
    shapes, other_shapes = (_shapes(s) for s in (spec, one_more))
    return {name for name in shapes if shapes[name] != other_shapes[name]}


def _shapes(spec: ModelSpec) -> dict[str, torch.Size]:
    """Of all tensors of a detector in training."""
    detector = detector_from_spec(spec)
    detector.add_training_parts()
    return {name: tensor.shape for name, tensor in detector.state_dict().items()}
