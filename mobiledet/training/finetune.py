"""Fine-tuning: training starts from the weights of a detector, possibly one with other classes."""

import dataclasses
from pathlib import Path

import torch

from mobiledet.checkpoint import Checkpoint, check_size, load_checkpoint
from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec, sides_text
from mobiledet.training.config import TrainConfig
from mobiledet.weights import check_weights


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


def with_network_of_init(config: TrainConfig) -> TrainConfig:
    """For ``--qat``: the settings with backbone, detector and input of the checkpoint in ``init``, and with 32-bit
    precision, in which rounding is simulated.

    Raises:
        UserError: ``init`` is not given, or the checkpoint cannot be read.
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
