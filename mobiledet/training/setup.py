"""From the settings of a run to its data, model description, loaders, and use of the machine's cores."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import TorchElasticEnvironment

from mobiledet.backbones import build_backbone, check_backbone
from mobiledet.backbones.pretrained import IMAGENET, Needs, needs_of
from mobiledet.data.coco import load_coco
from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import DetectionSet, some
from mobiledet.data.loader import DetectionLoader, build_loader, training_cache
from mobiledet.data.read import BUILT_IN, load_split
from mobiledet.data.record import DataRecord, ImageFileList
from mobiledet.data.shapes import shapes_folder
from mobiledet.data.summary import class_warnings, describe, describe_sizes, shorter_sides
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.detectors import detector_entry
from mobiledet.errors import UserError
from mobiledet.keywords import option_text
from mobiledet.ops.anchors import AnchorSizes, fit_anchor_sizes
from mobiledet.options import DetectorOptions, read_words
from mobiledet.placement import Placement
from mobiledet.processes.cores import threads_within, usable_cores
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec, TrainingInfo, image_sides, sides_text
from mobiledet.training.config import MAX_EPOCHS, TrainConfig
from mobiledet.training.recipes import AUGMENTATIONS

ANCHORS_PER_CELL = 3
MAX_WORKERS = 16
FEW_IMAGES = 5000  # fewer training images call for initial weights from elsewhere
# smallest and largest values of numeric settings
LIMITS = {
    "epochs": (1, MAX_EPOCHS),
    "batch_size": (1, 1 << 20),
    "accumulate": (1, 1 << 20),
    "devices": (1, 1024),
    "nodes": (1, 1 << 16),
    "eval_every": (1, MAX_EPOCHS),
    "patience": (0, MAX_EPOCHS),
    "lr_batch_size": (0, 1 << 20),
    "warmup_steps": (0, 1 << 40),
    "weight_decay": (0, 1e6),
    "clip_norm": (0, 1e9),
    "seed": (0, (1 << 63) - 1),
    "workers": (-1, 256),
    "save_every_minutes": (0, 1e9),
}


def check_settings(config: TrainConfig) -> None:
    """Check names and numbers before any work is done.

    Raises:
        UserError: a setting is not valid; the message names its option.
    """
    check_backbone(config.backbone)
    build_detector_options(config)
    for name, (least, most) in LIMITS.items():
        value = getattr(config, name)
        if value != "auto" and not least <= value <= most:  # also refuses NaN
            raise UserError(f"{_option(config, name)} is not in {least:g}..{most:g}")
    try:
        InputSpec(*image_sides(config.image_size))
    except ValueError as error:
        raise UserError(f"--image-size {config.image_size}: {error}") from error
    for name in ("lr", "lr_gamma"):
        if not 0 < getattr(config, name) < math.inf:
            raise UserError(f"{_option(config, name)} is not a finite number above 0")
    if config.val_share and config.val_set:
        raise UserError("--val-share and --val-set both choose the validation images; give only one of them")
    if (config.train_images or config.val_images) and config.val_share:
        raise UserError("--val-share divides --data; with --train-images give --val-images too")
    for name in ("final_lr", "crop_probability"):
        if not 0 <= (getattr(config, name) or 0) <= 1:
            raise UserError(f"{_option(config, name)} is not in 0..1")
    for name in ("ema_decay", "momentum"):
        if not 0 <= getattr(config, name) < 1:
            raise UserError(f"{_option(config, name)} is not at least 0 and below 1")
    if config.schedule == "steps" and not config.lr_steps:
        raise UserError("--schedule steps needs --lr-steps, the epochs after which the learning rate falls")
    if config.qat and config.precision not in ("auto", "32-true"):
        raise UserError(f"--precision {config.precision}: --qat needs 32-bit precision; leave it out")
    if config.freeze_backbone and not (config.init or config.pretrained):
        raise UserError("--freeze-backbone keeps a random backbone; give it weights with --pretrained or --init")


def _option(config: TrainConfig, name: str) -> str:
    return option_text(name, getattr(config, name))


def check_shares(config: TrainConfig) -> None:
    """Check that a batch can be divided among the devices, once neither is ``auto``.

    Raises:
        UserError: it cannot, or a share would be a single image.
    """
    shares = config.device_count * config.nodes * config.accumulate
    if config.batch_images % shares:
        raise UserError(
            f"--batch-size {config.batch_images} cannot be divided among --devices {config.devices} x --nodes "
            f"{config.nodes} x --accumulate {config.accumulate}"
        )
    if config.batch_images // shares < 2:
        raise UserError(
            f"--batch-size {config.batch_images} leaves each process one image at a time; batch normalisation needs "
            "two or more"
        )


def build_detector_options(
    config: TrainConfig, before: Mapping[str, Any] = MappingProxyType({}), **found: Any
) -> DetectorOptions:
    """The options of the detector: the defaults, changed by the checkpoint, by the settings and by the data, in this
    order.

    Args:
        config: the settings.
        before: options in the checkpoint that the weights come from, as JSON values.
        found: options computed from the data, as JSON values.

    Raises:
        UserError: the detector or an option is unknown, or a value is not valid.
    """
    options = {**before, **read_words(config.detector_options, "--detector-options"), **found}
    kind = detector_entry(config.detector).options
    if config.loss != "default":
        if not hasattr(kind, "loss"):
            raise UserError(f"--loss {config.loss}: {config.detector} has only its own loss; leave it out")
        options["loss"] = config.loss
    try:
        return kind().changed(**options)
    except ValueError as error:
        raise UserError(f"--detector-options: {error}; `--detector-options help` explains them") from error


def prepare_data(config: TrainConfig) -> None:
    """Make the built-in data set if it is needed and missing, before several processes look for it at once."""
    if config.data == "shapes" and (config.train_images is None or config.val_images is None):
        shapes_folder()


def load_data(config: TrainConfig) -> tuple[DetectionSet, DetectionSet]:
    """Training and validation set, both with the classes of the training set.

    Raises:
        UserError: a path is missing, data are bad, or the validation set has classes that the training set lacks.
    """
    train_set = _load(config, "train")
    val_set = _load(config, "val")
    unknown = [name for name in val_set.labels if name not in train_set.labels]
    if unknown:
        lacking = [name for name in train_set.labels if name not in val_set.labels]
        also = f"; it also lacks {some(lacking)}" if lacking else ""
        raise UserError(
            f"{val_set.annotations} has {len(unknown)} classes that {train_set.annotations} does not have: "
            f"{some(unknown)}{also}; both must have the same class names"
        )
    if not any(train_set.objects):
        crowds = f": its {train_set.crowds} boxes are crowds" if train_set.crowds else ""
        raise UserError(f"{train_set.annotations} has no boxes to train on{crowds}")
    _refuse_same_images(train_set, val_set)
    return train_set, val_set.relabelled(train_set.labels, train_set.category_ids)


def _refuse_same_images(train_set: DetectionSet, val_set: DetectionSet) -> None:
    trained = {image.path for image in train_set.images}
    common = [image.path for image in val_set.images if image.path in trained]
    if len(common) == len(val_set.images):
        raise UserError(
            f"every validation image is also a training image, such as {common[0]}, so mAP would say nothing; name the "
            "splits with --train-set and --val-set, or hold out a part with --val-share 0.2"
        )


def _load(config: TrainConfig, split: Literal["train", "val"]) -> DetectionSet:
    images, annotations = {
        "train": (config.train_images, config.train_annotations),
        "val": (config.val_images, config.val_annotations),
    }[split]
    if (images is None) != (annotations is None):
        raise UserError(f"--{split}-images and --{split}-annotations need each other; one of them is missing")
    if images is not None and annotations is not None:
        return load_coco(images, annotations, config.on_bad_data, config.exif)
    return load_split(config.data, split, config.on_bad_data, config, config.exif)


def data_record(config: TrainConfig, train_set: DetectionSet, val_set: DetectionSet) -> DataRecord:
    """The description of the data that is stored in checkpoints."""
    built_in = config.data == BUILT_IN
    root = train_set.images_dir.parent if built_in else Path(config.data)
    options = {
        "data": BUILT_IN if built_in else str(root.absolute()),
        "exif": config.exif,
        **{field.name: getattr(config, field.name) for field in dataclasses.fields(DataOptions)},
    }
    for name in ("train_images", "train_annotations", "val_images", "val_annotations"):
        path = getattr(config, name)
        options[name] = None if path is None else str(path.absolute())
    train_root = config.train_images or root
    return DataRecord(
        options, ImageFileList.of(train_set, train_root), ImageFileList.of(val_set, config.val_images or root)
    )


def changed_data(before: dict[str, Any] | None, now: dict[str, Any]) -> str:
    """A line of text that says so if images or boxes have changed since the run was started; otherwise empty."""
    if before is None:
        return ""
    splits = [split for split in ("train", "val") if before[split]["sha256"] != now[split]["sha256"]]
    return f"the data has changed since the run was started: {' and '.join(splits)} differ\n" if splits else ""


def describe_data(config: TrainConfig, spec: ModelSpec, train_set: DetectionSet, val_set: DetectionSet) -> list[str]:
    """Lines that summarise the data and warn of what may be wrong with it.

    Raises:
        UserError: every box is too small to be learned at this input size.
    """
    height, width = spec.input.height, spec.input.width
    sides = shorter_sides(train_set, spec.input)
    least = Augmentation(**AUGMENTATIONS[config.augmentation]).min_side
    lost = int((sides < least).sum())
    larger = -(-int(np.ceil(max(height, width) * 2 * least / np.median(sides))) // 32) * 32
    advice = f"with --image-size {larger} half of the boxes would be {2 * least:g} pixels or more"
    if lost == len(sides):
        raise UserError(
            f"{train_set.annotations}: all {lost} boxes are shorter than {least:g} pixels at {height} x {width}, too "
            f"small to be learned; {advice}"
        )
    lines = [
        f"training: {describe(train_set)}",
        f"validation: {describe(val_set)}",
        describe_sizes(sides, spec.input),
    ]
    if lost:
        lines.append(
            f"{lost} of {len(sides)} training boxes are shorter than {least:g} pixels at {height} x {width}: they are "
            "not learned from images that are not cropped" + (f"; {advice}" if lost > 0.1 * len(sides) else "")
        )
    lines += class_warnings(train_set, val_set)
    is_random = not (config.init or config.pretrained or config.resume)
    is_own = config.train_images is not None or config.data != BUILT_IN
    if is_random and is_own and len(train_set.images) < FEW_IMAGES:
        lines.append(
            f"the initial weights are random; {len(train_set.images)} images are learned better and faster from those "
            "of a published detector, such as --init nanodet_plus_m_320 (`mobiledet zoo` lists all)"
        )
    trained = {image.path for image in train_set.images}
    common = sum(image.path in trained for image in val_set.images)
    if common:
        lines.append(f"{common} validation images are also training images: mAP will be too high")
    return lines + list(dict.fromkeys((*train_set.notes, *val_set.notes)))


def make_spec(config: TrainConfig, train_set: DetectionSet, before: ModelSpec | None = None) -> ModelSpec:
    """The description of the model to train, with anchors fitted to the training boxes if the settings say so.

    Args:
        config: the settings.
        train_set: the training set, which gives the classes.
        before: description in the checkpoint that the weights come from. Its input normalisation, NMS settings, and
            options of backbone and detector are kept, except for ``unused_logits`` if the classes differ.

    Raises:
        UserError: the image size is not valid.
    """
    kept = before.detector_options.to_json() if before else {}
    if before and before.labels != train_set.labels:
        kept.pop("unused_logits", None)
    levels = detector_entry(config.detector).levels
    if config.anchors == "fit" and not levels:
        raise UserError(f"--anchors fit: {config.detector} uses no anchors; leave it out")
    rule = config.input_rule()
    try:
        needs = _needs(config, before)
        input_spec = InputSpec(*image_sides(config.image_size), needs.mean, needs.std, exif=config.exif, **rule)
        if before and config.qat:
            input_spec = dataclasses.replace(before.input, exif=config.exif)
    except ValueError as error:
        raise UserError(f"--image-size {config.image_size}: {error}") from error
    found = {"anchors": _fitted_anchors(train_set, input_spec, levels, config.seed)} if config.anchors == "fit" else {}
    sides = sides_text(input_spec.height, input_spec.width)
    return ModelSpec(
        name=f"{config.backbone}-{config.detector}-{sides}".replace(":", "_"),  # it becomes a file name
        backbone=config.backbone,
        detector=config.detector,
        input=input_spec,
        labels=train_set.labels,
        category_ids=train_set.category_ids,
        nms=before.nms if before else NmsSpec(),
        backbone_options=needs.options,
        detector_options=build_detector_options(config, kept, **found),
        training=TrainingInfo(dataset=train_set.name, split="train", seed=config.seed),
    )


def _needs(config: TrainConfig, before: ModelSpec | None) -> Needs:
    given = read_words(config.backbone_options, "--backbone-options")
    if before:
        return Needs(before.input.mean, before.input.std, {**before.backbone_options, **given})
    is_file = config.pretrained not in ("", IMAGENET)
    needs = needs_of(config.backbone, config.pretrained, build_backbone(config.backbone) if is_file else None)
    return needs._replace(options={**needs.options, **given})


def _fitted_anchors(dataset: DetectionSet, spec: InputSpec, levels: int, seed: int) -> AnchorSizes:
    whole = spec.width, spec.height
    sizes = [
        (image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2])
        * np.divide(Placement.of(image.height, image.width, spec).scale, whole)
        for image in dataset.images
    ]
    return fit_anchor_sizes(torch.from_numpy(np.concatenate(sizes).astype(np.float32)), levels, ANCHORS_PER_CELL, seed)


def choose_workers(config: TrainConfig, device: torch.device) -> int:
    """Number of loader processes of each training process: on the CPU one if there is a core for it, otherwise the
    process's share of the cores."""
    if config.workers >= 0:
        return config.workers
    if device.type == "cpu":
        return 1 if usable_cores() > config.device_count else 0
    return min(max(1, usable_cores() // config.device_count), MAX_WORKERS)


def share_cores(config: TrainConfig, device: torch.device, workers: int) -> None:
    """If the network runs on the CPU, limit torch's threads so that the loader processes have cores of their own.

    The threads of an operation wait for each other in busy loops: with one thread more than free cores, two cores
    trained 15 images per second instead of 67. OMP_NUM_THREADS limits them too, except under torchrun, which sets it to
    1 for every process if the user has not set it.
    """
    if device.type == "cpu":
        share = max(1, usable_cores() // config.device_count - workers)
        torch.set_num_threads(share if TorchElasticEnvironment.detect() else threads_within(share))


def make_loaders(
    config: TrainConfig, spec: ModelSpec, train_set: DetectionSet, val_set: DetectionSet, fabric: Fabric, workers: int
) -> tuple[DetectionLoader, DetectionLoader]:
    """The training and validation loaders of this process. Their batches are micro-batches: the share of one process
    and one accumulation step.

    Raises:
        UserError: there are fewer training images than the batch size.
    """
    images, shares = len(train_set.images), fabric.world_size * config.accumulate
    if images < config.batch_images:
        most = images // shares * shares
        fewer = ", or give fewer --devices or --accumulate" if shares > 1 else ""
        advice = f"give --batch-size {most}" if most >= 2 * shares else f"at least {2 * shares} are needed{fewer}"
        raise UserError(
            f"{train_set.annotations} has {images} images, fewer than the batch size {config.batch_images}; {advice}"
        )
    changes = dict(AUGMENTATIONS[config.augmentation])
    if config.crop_probability is not None:
        changes["crop_probability"] = config.crop_probability
    train_loader = build_loader(
        train_set,
        config.batch_images // (fabric.world_size * config.accumulate),
        transform=train_transform(spec.input, Augmentation(**changes)),
        spec=spec.input,
        shuffle=True,
        workers=workers,
        seed=config.seed,
        drop_last=True,
        on_bad_data=config.on_bad_data,
        disk_cache=training_cache(config.cache_images, spec.input.height, spec.input.width)
        if config.cache_images
        else None,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    val_loader = build_loader(
        val_set,
        config.batch_images // (fabric.world_size * config.accumulate),
        transform=None,
        spec=spec.input,
        shuffle=False,
        workers=workers,
        on_bad_data=config.on_bad_data,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    return train_loader, val_loader
