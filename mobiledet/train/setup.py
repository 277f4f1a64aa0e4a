"""From the settings of a run to its data, its model description and the machine's part in it."""

import logging
import warnings
from typing import Literal

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy, Strategy

from mobiledet.backbones import check_backbone
from mobiledet.backbones.pretrained import input_statistics
from mobiledet.cores import usable_cores
from mobiledet.data.coco import CocoDataset, load_coco, load_split
from mobiledet.data.shapes import shapes_folder
from mobiledet.detectors import DETECTORS
from mobiledet.errors import UserError, unknown_name
from mobiledet.ops.anchors import AnchorSizes, fit_anchor_sizes
from mobiledet.spec import InputSpec, ModelSpec, TrainingInfo
from mobiledet.train.config import TrainConfig

# the launch of processes is announced in five lines that help nobody
for _name in ("lightning.fabric", "lightning.pytorch"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# its successor is missing from the older versions of torch that we support
warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")

ANCHORS_PER_CELL = 3
MAX_WORKERS = 16


def check_settings(config: TrainConfig) -> None:
    """Refuse numbers that make no sense, before any work.

    Raises:
        UserError: names the option.
    """
    limits = {
        "epochs": 1,
        "batch_size": 1,
        "devices": 1,
        "eval_every": 1,
        "warmup_steps": 0,
        "weight_decay": 0,
        "seed": 0,
    }
    for name, least in limits.items():
        if getattr(config, name) < least:
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name)} is below {least}")
    for name in ("lr", "clip_norm"):
        if not getattr(config, name) > 0:
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name)} is not above 0")
    if config.batch_size % config.devices:
        raise UserError(f"--batch-size {config.batch_size} cannot be divided among --devices {config.devices}")
    if config.batch_size // config.devices < 2:
        raise UserError(f"--batch-size {config.batch_size} leaves a process one image; normalisation needs two or more")
    if not 0 <= config.crop_probability <= 1:
        raise UserError(f"--crop-probability {config.crop_probability} is not in 0..1")
    if not 0 <= config.ema_decay < 1:
        raise UserError(f"--ema-decay {config.ema_decay} is not in 0..1, 1 left out")


def prepare_data(config: TrainConfig) -> None:
    """Draw the built-in set if it is asked for and missing, before several processes look for it at once."""
    if config.data == "shapes" and (config.train_images is None or config.val_images is None):
        shapes_folder()


def load_data(config: TrainConfig) -> tuple[CocoDataset, CocoDataset]:
    """Training and validation set.

    Raises:
        UserError: a path is missing, data are bad, or the two sets do not have the same categories.
    """
    train_set = _load(config, "train")
    val_set = _load(config, "val")
    if (train_set.labels, train_set.category_ids) != (val_set.labels, val_set.category_ids):
        raise UserError(f"{train_set.annotations} and {val_set.annotations} do not have the same categories")
    if not any(len(image.labels) for image in train_set.images):
        raise UserError(f"{train_set.annotations} has no box to learn from")
    return train_set, val_set


def _load(config: TrainConfig, split: Literal["train", "val"]) -> CocoDataset:
    images, annotations = {
        "train": (config.train_images, config.train_annotations),
        "val": (config.val_images, config.val_annotations),
    }[split]
    if (images is None) != (annotations is None):
        raise UserError(f"--{split}-images and --{split}-annotations go together; one of them is missing")
    if images is not None and annotations is not None:
        return load_coco(images, annotations, config.on_bad_data)
    return load_split(config.data, split, config.on_bad_data)


def make_spec(config: TrainConfig, train_set: CocoDataset) -> ModelSpec:
    """The description of the model to train, anchors fitted to the training boxes if the settings say so.

    Raises:
        UserError: backbone, detector or image size is not valid.
    """
    check_backbone(config.backbone)
    if config.detector not in DETECTORS:
        raise unknown_name("detector", config.detector, DETECTORS)
    options: dict[str, object] = {}
    if config.loss != "default":
        options["loss"] = config.loss
    if config.anchors == "fit":
        options["anchors"] = _fitted_anchors(train_set, DETECTORS[config.detector].levels, config.seed)
    try:
        statistics = input_statistics(config.backbone, config.pretrained)
        input_spec = InputSpec(config.image_size, config.image_size, *statistics)
    except ValueError as error:
        raise UserError(f"--image-size {config.image_size}: {error}") from error
    return ModelSpec(
        name=f"{config.backbone}-{config.detector}-{config.image_size}".replace(":", "_"),  # it becomes a file name
        backbone=config.backbone,
        detector=config.detector,
        input=input_spec,
        labels=train_set.labels,
        category_ids=train_set.category_ids,
        detector_options=options,
        training=TrainingInfo(dataset=train_set.name, split="train", seed=config.seed),
    )


def _fitted_anchors(dataset: CocoDataset, levels: int, seed: int) -> AnchorSizes:
    sizes = [
        (image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2]) / (image.width, image.height) for image in dataset.images
    ]
    return fit_anchor_sizes(torch.from_numpy(np.concatenate(sizes).astype(np.float32)), levels, ANCHORS_PER_CELL, seed)


def make_fabric(config: TrainConfig) -> Fabric:
    """Lightning Fabric for one process or several, not launched yet.

    Raises:
        UserError: the accelerator or so many devices are not there.
    """
    strategy: Strategy | str = "auto"
    if config.devices > 1:
        # normalisation statistics are averaged once an epoch instead, see ``AveragedWeights.synchronize``
        strategy = DDPStrategy(start_method="spawn", broadcast_buffers=False, gradient_as_bucket_view=True)
    try:
        return Fabric(
            accelerator=config.accelerator,
            strategy=strategy,
            devices=config.devices,
            precision=_precision(config),
        )
    except (RuntimeError, ValueError) as error:  # lightning's MisconfigurationException is one of them
        reason = str(error).splitlines()[0]
        raise UserError(f"--accelerator {config.accelerator} --devices {config.devices}: {reason}") from error


def _precision(config: TrainConfig) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """bf16 on a GPU that computes in it, unless the settings say otherwise."""
    if config.precision != "auto":
        return config.precision
    wants_cuda = config.accelerator in ("auto", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if wants_cuda and torch.cuda.is_bf16_supported() else "32-true"


def choose_workers(config: TrainConfig, device: torch.device) -> int:
    """Loader processes of each training process: on the CPU one if a core is left for it, else the cores' share."""
    if config.workers >= 0:
        return config.workers
    if device.type == "cpu":
        return 1 if usable_cores() > config.devices else 0
    return min(max(1, usable_cores() // config.devices), MAX_WORKERS)


def share_cores(config: TrainConfig, device: torch.device, workers: int) -> None:
    """Leave the loader processes their cores when the network runs on the CPU.

    Threads of one operation wait for each other without sleeping: with one thread more than free cores, two cores
    trained 15 images a second instead of 67.
    """
    if device.type == "cpu":
        torch.set_num_threads(max(1, usable_cores() // config.devices - workers))
