"""mAP of exported files, beside that of the PyTorch detector that they were made from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mobiledet.data.categories import match_categories
from mobiledet.data.coco import CocoDataset, load_coco, load_split
from mobiledet.data.images import load_rgb, resize
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig

PYTORCH = "PyTorch"


class Model(Protocol):
    """What runs a detector on one image at a time, such as ``LiteRtDetector`` and ``CoreMlDetector``."""

    def set_input(self, image: np.ndarray) -> None: ...

    def invoke(self) -> None: ...

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections: ...


class TorchModel:
    """The PyTorch detector behind the same methods."""

    def __init__(self, detector: Detector, spec: ModelSpec) -> None:
        self._detector = detector
        self._spec = spec

    def set_input(self, image: np.ndarray) -> None:
        self._image = normalize(torch.from_numpy(image[None]).permute(0, 3, 1, 2), self._spec.input)

    @torch.inference_mode()
    def invoke(self) -> None:
        (self._found,) = self._detector.postprocess(self._detector(self._image), self._spec.nms)

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        scale = np.array([image_width, image_height] * 2) / ([self._spec.input.width, self._spec.input.height] * 2)
        boxes = (self._found.boxes_xyxy.numpy() * scale).astype(np.float32)
        return Detections(boxes, self._found.scores.numpy(), self._found.labels.numpy())


def load_validation(config: ExportConfig, run: Mapping[str, Any]) -> tuple[CocoDataset | None, str]:
    """The images that mAP is measured on, spread evenly over a validation set.

    Args:
        config: the set and how many; where none is given, what the training run was validated on.
        run: the settings of that run, empty if they are not known.

    Returns:
        the images, and why there are none.

    Raises:
        UserError: the set that ``config`` names cannot be used.
    """
    if config.measure_images < 0:
        raise UserError(f"--measure-images {config.measure_images} is negative")
    if not config.measure:
        return None, "because of --no-measure"
    if config.data:
        dataset = load_split(config.data, "val", run.get("on_bad_data", "error"))
    else:
        try:
            dataset = _of_run(run)
        except (UserError, KeyError, TypeError):
            return None, "for no validation images are at hand; give --data"
    images = dataset.images
    steps = np.linspace(0, len(images) - 1, min(config.measure_images or len(images), len(images))).round().astype(int)
    return dataclasses.replace(dataset, images=tuple(images[step] for step in steps)), ""


def _of_run(run: Mapping[str, Any]) -> CocoDataset:
    if run.get("val_images"):
        return load_coco(Path(run["val_images"]), Path(run["val_annotations"]), run.get("on_bad_data", "error"))
    return load_split(run["data"], "val", run.get("on_bad_data", "error"))


def measure_map(
    models: Mapping[str, Model], spec: ModelSpec, dataset: CocoDataset, tell: Callable[[int], None] = lambda _: None
) -> dict[str, dict[str, Any]]:
    """Run every model on every image, each of which is decoded once, and score.

    Args:
        models: by name.
        spec: of all of them.
        dataset: images and where the truth is.
        tell: is told the number of images done.

    Returns:
        by name: ``AP``, ``AP50``, ``dataset`` and ``images``.

    Raises:
        UserError: an image is broken or not of its annotated size, or the data set has a category that the model does
            not know.
    """
    category_ids = match_categories(spec, dataset)
    ids = [image.id for image in dataset.images]
    evaluators = {name: CocoEvaluator(dataset.annotations, category_ids, ids) for name in models}
    for number, image in enumerate(dataset.images, start=1):
        rgb = load_rgb(image.path)
        height, width = rgb.shape[:2]
        problem = image.size_problem(height, width, dataset.annotations)
        if problem:
            raise UserError(f"{problem}; mend it")
        pixels = resize(rgb, spec.input.height, spec.input.width)
        for name, model in models.items():
            model.set_input(pixels)
            model.invoke()
            evaluators[name].add(image.id, model.detections(height, width, spec.num_classes))
        tell(number)
    scores = {name: evaluator.score() for name, evaluator in evaluators.items()}
    about = {"dataset": dataset.name, "images": len(ids)}
    return {name: {"AP": score.AP, "AP50": score.AP50, **about} for name, score in scores.items()}


def beside_pytorch(scores: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entries of the files, each with ``pytorch``, the AP of the detector, and ``drop``, how much less it has."""
    base = scores[PYTORCH]["AP"]
    return {
        name: {**entry, "pytorch": base, "drop": base - entry["AP"]}
        for name, entry in scores.items()
        if name != PYTORCH
    }


def measure(
    files: Sequence[CheckedFile],
    detector: Detector,
    spec: ModelSpec,
    dataset: CocoDataset,
    console: Console,
) -> list[CheckedFile]:
    """Note the mAP of each file.

    Raises:
        UserError: an image is bad.
    """
    models: dict[str, Model] = {PYTORCH: TorchModel(detector, spec)}
    models.update({file.entry.path: file.model for file in files})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"mAP of {len(models)} models", total=len(dataset.images))
        maps = beside_pytorch(measure_map(models, spec, dataset, lambda done: progress.update(task, completed=done)))
    return [
        dataclasses.replace(file, entry=dataclasses.replace(file.entry, map=maps[file.entry.path])) for file in files
    ]
