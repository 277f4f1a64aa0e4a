"""From the settings of a run to its data, its model description and the machine's part in it."""

import math
from typing import Literal

import numpy as np
import torch
from lightning.fabric import Fabric

from mobiledet.backbones import check_backbone
from mobiledet.backbones.pretrained import input_statistics
from mobiledet.cores import usable_cores
from mobiledet.data.coco import CocoDataset, load_coco, load_split
from mobiledet.data.loader import DetectionLoader, build_loader, training_cache
from mobiledet.data.shapes import shapes_folder
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.detectors import DETECTORS
from mobiledet.errors import UserError, unknown_name
from mobiledet.ops.anchors import AnchorSizes, fit_anchor_sizes
from mobiledet.spec import InputSpec, ModelSpec, TrainingInfo
from mobiledet.train.config import MOST_EPOCHS, TrainConfig
from mobiledet.train.recipes import AUGMENTATIONS

ANCHORS_PER_CELL = 3
MAX_WORKERS = 16
# least and most of settings that are plain numbers
LIMITS = {
    "epochs": (1, MOST_EPOCHS),
    "batch_size": (1, 1 << 20),
    "accumulate": (1, 1 << 20),
    "devices": (1, 1024),
    "nodes": (1, 1 << 16),
    "eval_every": (1, MOST_EPOCHS),
    "lr_batch_size": (0, 1 << 20),
    "warmup_steps": (0, 1 << 40),
    "weight_decay": (0, 1e6),
    "clip_norm": (0, 1e9),
    "seed": (0, (1 << 63) - 1),
    "workers": (-1, 256),
    "save_every_minutes": (0, 1e9),
}


def check_settings(config: TrainConfig) -> None:
    """Refuse names and numbers that make no sense, before any work.

    Raises:
        UserError: names the option.
    """
    check_backbone(config.backbone)
    if config.detector not in DETECTORS:
        raise unknown_name("detector", config.detector, DETECTORS)
    for name, (least, most) in LIMITS.items():
        if not least <= getattr(config, name) <= most:  # also where it is no number
            raise UserError(f"{_option(config, name)} is not in {least:g}..{most:g}")
    for name in ("lr", "lr_gamma"):
        if not 0 < getattr(config, name) < math.inf:
            raise UserError(f"{_option(config, name)} is not above 0, or no number")
    for name in ("final_lr", "crop_probability"):
        if not 0 <= (getattr(config, name) or 0) <= 1:
            raise UserError(f"{_option(config, name)} is not in 0..1")
    for name in ("ema_decay", "momentum"):
        if not 0 <= getattr(config, name) < 1:
            raise UserError(f"{_option(config, name)} is not in 0..1, 1 left out")
    shares = config.devices * config.nodes * config.accumulate
    if config.batch_size % shares:
        raise UserError(
            f"--batch-size {config.batch_size} cannot be divided among --devices {config.devices} x --nodes "
            f"{config.nodes} x --accumulate {config.accumulate}"
        )
    if config.batch_size // shares < 2:
        raise UserError(
            f"--batch-size {config.batch_size} leaves a process one image at a time; normalisation needs two or more"
        )
    if config.schedule == "steps" and not config.lr_steps:
        raise UserError("--schedule steps needs --lr-steps, the epochs after which the learning rate falls")
    if config.qat and config.precision not in ("auto", "32-true"):
        raise UserError(f"--precision {config.precision}: --qat rounds in 32-bit numbers; leave it out")
    if config.freeze_backbone and not (config.init or config.pretrained):
        raise UserError("--freeze-backbone keeps a random backbone; give it weights with --pretrained or --init")


def _option(config: TrainConfig, name: str) -> str:
    return f"--{name.replace('_', '-')} {getattr(config, name)}"


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


def make_spec(config: TrainConfig, train_set: CocoDataset, before: ModelSpec | None = None) -> ModelSpec:
    """The description of the model to train, anchors fitted to the training boxes if the settings say so.

    Args:
        config: the settings.
        train_set: gives the classes.
        before: of the checkpoint that the weights come from; its normalisation and its detector's options are kept.

    Raises:
        UserError: the image size is not valid.
    """
    options = dict(before.detector_options) if before else {}
    if config.loss != "default":
        options["loss"] = config.loss
    if config.anchors == "fit":
        options["anchors"] = _fitted_anchors(train_set, DETECTORS[config.detector].levels, config.seed)
    try:
        statistics = (
            (before.input.mean, before.input.std) if before else input_statistics(config.backbone, config.pretrained)
        )
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


def make_loaders(
    config: TrainConfig, spec: ModelSpec, train_set: CocoDataset, val_set: CocoDataset, fabric: Fabric, workers: int
) -> tuple[DetectionLoader, DetectionLoader]:
    """Loaders of this process: training batches are one part (``accumulate``) of one step.

    Raises:
        UserError: there are fewer training images than a batch has.
    """
    if len(train_set.images) < config.batch_size:
        raise UserError(
            f"{train_set.annotations} has {len(train_set.images)} images, fewer than the batch size "
            f"{config.batch_size}; choose a smaller batch"
        )
    height, width = spec.input.height, spec.input.width
    changes = dict(AUGMENTATIONS[config.augmentation])
    if config.crop_probability is not None:
        changes["crop_probability"] = config.crop_probability
    train_loader = build_loader(
        train_set,
        config.batch_size // (fabric.world_size * config.accumulate),
        transform=train_transform(height, width, Augmentation(**changes)),
        height=height,
        width=width,
        shuffle=True,
        workers=workers,
        seed=config.seed,
        drop_last=True,
        on_bad_data=config.on_bad_data,
        disk_cache=training_cache(config.cache_images, height, width) if config.cache_images else None,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    val_loader = build_loader(
        val_set,
        config.batch_size // (fabric.world_size * config.accumulate),
        transform=None,
        height=height,
        width=width,
        shuffle=False,
        workers=workers,
        on_bad_data=config.on_bad_data,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    return train_loader, val_loader
