"""Calibration images, from which a quantiser learns the value ranges inside the network: a sample of the training
set."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import some
from mobiledet.data.images import list_images, load_for_input
from mobiledet.data.read import BUILT_IN, find_source, load_split
from mobiledet.data.record import DataRecord, ImageFile, ImageFileList, image_files_of
from mobiledet.data.resize import resize_to_input
from mobiledet.data.shapes import CATEGORIES, shapes_folder
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.trained_on import read_options, trained_on

# A few images have extreme values, and a scale that covers them costs accuracy on all others: so the range covers this
# fraction of the images. ShuffleNetV2 0.5x on shapes, float mAP 0.5671: 0.99 gives 0.5681, 0.95 0.5674, 0.90 0.5643,
# 0.75 0.5651, the mean of the images 0.5551, least squares of the rounding error 0.5637.
SHARE = 0.99
COCO = "coco"  # value of --calibration that names the training images of --data


@dataclass(frozen=True)
class Calibration:
    """A sample of images, reproducible from source, count and seed.

    Attributes:
        source: description of where they come from.
        seed: random seed of the sample.
        candidates: images in the order in which they are drawn.
        count: number of images to use.
        skips_bad: whether an image that cannot be decoded is replaced by the next one.
        warning: for the user, if the source is not the intended one; else empty.
    """

    source: str
    seed: int
    candidates: tuple[ImageFile, ...]
    count: int
    skips_bad: bool = False
    warning: str = ""

    @property
    def images(self) -> tuple[Path, ...]:
        """The files that are used if all of them can be decoded, sorted."""
        return tuple(sorted(image.path for image in self.candidates[: self.count]))

    def record(self) -> dict[str, Any]:
        """The entry for the bundle, as JSON values."""
        return {"source": self.source, "images": min(self.count, len(self.candidates)), "seed": self.seed}

    def load(self, spec: InputSpec) -> np.ndarray:
        """Decode and resize the images: N x height x width x 3 uint8 RGB, of the model's input size.

        Raises:
            UserError: an image cannot be decoded and bad ones are not skipped, or none can be decoded.
        """
        pixels: list[np.ndarray] = []
        problem = ""
        for image in self.candidates:
            if len(pixels) == self.count:
                break
            try:
                decoded = load_for_input(image.path, spec, image.apply_orientation)
            except UserError as error:
                if not self.skips_bad:
                    raise UserError(
                        f"{error}; repair it, pass --on-bad-data skip, or choose other images with --calibration"
                    ) from error
                problem = problem or str(error)
                continue
            pixels.append(resize_to_input(decoded.pixels, spec, decoded.extent))
        if not pixels:
            raise UserError(f"no image of {self.source} can be used for calibration: {problem}")
        return np.stack(pixels)


def choose_calibration(config: ExportConfig, checkpoint: Path, spec: ModelSpec) -> Calibration:
    """Sample the training images of a data set.

    Args:
        config: source and number of the images.
        checkpoint: its training images are used if ``config`` names no source.
        spec: spec of the model, for its classes.

    Raises:
        UserError: a number is out of range; or the source does not exist, contains no images, has other classes than
            the model, or is the validation set of the model.
    """
    if config.calibration_images < 1:
        raise UserError(f"--calibration-images is {config.calibration_images}; at least one image is needed")
    if config.calibration_seed < 0:
        raise UserError(f"--calibration-seed {config.calibration_seed} is negative")
    run = trained_on(checkpoint)
    source, images, warning = _find(config, run, spec)
    order = np.random.default_rng(config.calibration_seed).permutation(len(images))
    skips_bad = (config.on_bad_data or (run.options["on_bad_data"] if run else "error")) == "skip"
    candidates = tuple(images[index] for index in order)
    return Calibration(source, config.calibration_seed, candidates, config.calibration_images, skips_bad, warning)


def _find(config: ExportConfig, run: DataRecord | None, spec: ModelSpec) -> tuple[str, list[ImageFile], str]:
    """The description of the source, its images, and a warning."""
    if config.calibration is None:
        return _training_images(config, run) or _training_part(config, run, spec) or _built_in_instead(config, spec)
    if config.calibration == BUILT_IN:
        _require_classes(list(CATEGORIES), spec, "the built-in set")
        return _built_in(config)
    if config.calibration == COCO:
        data = config.data or (run.options["data"] if run else None)
        if not data or data == BUILT_IN:
            raise UserError("--calibration coco needs --data, the folder of the data set")
        folder = Path(data)
    else:
        folder = Path(config.calibration)
        if not folder.exists():
            raise UserError(f"--calibration {folder} does not exist; give a folder, or one of the words coco, shapes")
    images, labels = _images_in(folder, config, run)
    return _without_validation(folder, images, labels, run, spec)


def _without_validation(
    folder: Path, images: Sequence[ImageFile], labels: Sequence[str], run: DataRecord | None, spec: ModelSpec
) -> tuple[str, list[ImageFile], str]:
    """The images of a folder without validation images; ``labels`` are its classes, empty if unknown."""
    if labels:
        _require_classes(labels, spec, str(folder))
    validation = {image.path.resolve() for image in _validation(run, folder)}
    allowed = [image for image in images if image.path.resolve() not in validation]
    if not allowed:
        raise UserError(
            f"--calibration {folder} contains only validation images, on which the measured mAP would be too high; "
            "give training images"
        )
    left_out = len(images) - len(allowed)
    warning = f"{left_out} validation images in {folder} are not used for calibration" if left_out else ""
    return _folder_of(allowed), allowed, warning


def _folder_of(images: Sequence[ImageFile]) -> str:
    """The innermost folder that contains all of them."""
    return os.path.commonpath([image.path.parent for image in images])


def _images_in(folder: Path, config: ExportConfig, run: DataRecord | None) -> tuple[list[ImageFile], Sequence[str]]:
    """The images of a folder: the training part of a data set with its classes, or all images in the folder."""
    options = read_options(run.options) if run and folder == Path(run.options["data"]) else DataOptions()
    try:
        find_source(folder, options)
    except UserError:
        return image_files_of(list_images(folder)), ()
    dataset = load_split(folder, "train", config.on_bad_data or options.on_bad_data, options)
    return ImageFileList.of(dataset, folder).image_files(), dataset.labels


def _validation(run: DataRecord | None, folder: Path) -> list[ImageFile]:
    """Images that must not be used: the validation images of the run, and those of the data set that a folder belongs
    to."""
    known = run.val.image_files() if run else []
    for around in (folder, folder.resolve().parent):
        try:
            dataset = load_split(around, "val", "skip")
        except UserError:
            continue
        return known + ImageFileList.of(dataset, around).image_files()
    return known


def _training_images(config: ExportConfig, run: DataRecord | None) -> tuple[str, list[ImageFile], str] | None:
    """The training images of the run, if they still exist or were moved to --data."""
    if run is None:
        return None
    if run.options["data"] == BUILT_IN and not run.options["train_images"]:
        return _built_in(config)
    root = Path(config.data) if config.data and config.data != BUILT_IN else None
    found = run.train.existing_files(root)
    if not found:
        return None
    missing = len(run.train.files) - len(found)
    warning = f"{missing} of {len(run.train.files)} training images are no longer there" if missing else ""
    return _folder_of(found), found, warning


def _training_part(
    config: ExportConfig, run: DataRecord | None, spec: ModelSpec
) -> tuple[str, list[ImageFile], str] | None:
    """The training part of --data, for a checkpoint without a record of its training images, such as an imported
    one."""
    if not config.data or config.data == BUILT_IN:
        return None
    folder = Path(config.data)
    try:
        dataset = load_split(folder, "train", config.on_bad_data or "error")
    except UserError as error:
        return _built_in_instead(config, spec, f" ({error})")
    return _without_validation(folder, ImageFileList.of(dataset, folder).image_files(), dataset.labels, run, spec)


def _built_in(config: ExportConfig) -> tuple[str, list[ImageFile], str]:
    # more than needed, so that the seed makes a difference
    drawn = shapes_folder(train=2 * config.calibration_images, val=0)
    return "built-in shapes, training images", image_files_of(list_images(drawn / "train2017")), ""


def _built_in_instead(config: ExportConfig, spec: ModelSpec, why: str = "") -> tuple[str, list[ImageFile], str]:
    source, images, _ = _built_in(config)
    warning = (
        f"the training images of this checkpoint cannot be found{why}, so built-in shapes are used for calibration, "
        f"which costs accuracy if {spec.name} was trained on something else; give --calibration, or --data if the data "
        "set was moved"
    )
    return source, images, warning


def _require_classes(names: Sequence[str], spec: ModelSpec, source: str) -> None:
    if not set(names) & set(spec.labels):
        raise UserError(
            f"--calibration: {source} has other classes ({some(names, 4)}) than {spec.name} "
            f"({some(spec.labels, 4)}); "
            "give images of the kind that the model was trained on"
        )
