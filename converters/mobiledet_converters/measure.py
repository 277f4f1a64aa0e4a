"""mAP of exported files, beside that of the PyTorch detector that they were made from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mobiledet.data.categories import match_labels
from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.images import Decoded, load_for
from mobiledet.data.record import DataRecord
from mobiledet.data.resize import fit
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.ops.images import normalize
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet.truth import ImageId, Truth
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.trained_on import DEFAULTS, load_part

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


def load_validation(config: ExportConfig, run: DataRecord | None, spec: ModelSpec) -> tuple[DetectionSet | None, str]:
    """The images that mAP is measured on, spread evenly over a validation set.

    Args:
        config: the set and how many; where none is given, what the training run was validated on.
        run: what the checkpoint tells of its data, None if nothing.
        spec: of the model.

    Returns:
        the images, and why there are none.

    Raises:
        UserError: the set that ``config`` names cannot be used, has a class that the model does not know, or has no box
            to find.
    """
    if config.measure_images < 0:
        raise UserError(f"--measure-images {config.measure_images} is negative")
    if not config.measure:
        return None, "because of --no-measure"
    options = dict(run.options if run else DEFAULTS)
    options["on_bad_data"] = config.on_bad_data or options["on_bad_data"]
    if config.data:
        dataset = load_part(options, "val", config.data)
        match_labels(spec, dataset)
        require_boxes(dataset)
    else:
        try:
            dataset = load_part(options, "val")
            match_labels(spec, dataset)
        except UserError as error:
            why = f"the validation images cannot be used ({error})" if run else "no validation images are at hand"
            return None, f"for {why}; give --data"
    images = dataset.images
    steps = np.linspace(0, len(images) - 1, min(config.measure_images or len(images), len(images))).round().astype(int)
    chosen = dataclasses.replace(dataset, images=tuple(images[step] for step in steps))
    if not any(chosen.objects):
        return None, f"for {dataset.annotations} has no box to find in {len(steps)} images; give other --data"
    return chosen, ""


def require_boxes(dataset: DetectionSet) -> None:
    """Refuse a set without a box to find: it has no mAP.

    Raises:
        UserError: there is none.
    """
    if not any(dataset.objects):
        raise UserError(
            f"{dataset.annotations} has no box to find, so there is no mAP; give other --data, or --no-measure"
        )


def measure_map(
    models: Mapping[str, Model],
    spec: ModelSpec,
    dataset: DetectionSet,
    tell: Callable[[int], None] = lambda _: None,
    on_bad_data: OnBadData = "error",
) -> dict[str, dict[str, Any]]:
    """Run every model on every image, each of which is decoded once, and score.

    Args:
        models: by name.
        spec: of all of them.
        dataset: images and where the truth is.
        tell: is told the number of images done.
        on_bad_data: with ``skip`` an image that cannot be decoded is left out, of the score too.

    Returns:
        by name: ``AP``, ``AP50``, ``dataset`` and ``images``.

    Raises:
        UserError: an image is broken or not of its annotated size, or the data set has a category that the model does
            not know.
    """
    label_of = match_labels(spec, dataset)
    found: dict[str, dict[ImageId, Detections]] = {name: {} for name in models}
    truth: dict[ImageId, Truth] = {}
    for number, image in enumerate(dataset.images, start=1):
        try:
            decoded = _decoded(image, dataset, spec.input)
        except UserError as error:
            if on_bad_data == "error":
                raise UserError(f"{error}; mend it or pass --on-bad-data skip") from error
            continue
        pixels = fit(decoded.pixels, spec.input, decoded.extent)
        placement = Placement.of(decoded.height, decoded.width, spec.input)
        truth[image.id] = image.truth
        for name, model in models.items():
            model.set_input(pixels)
            model.invoke()
            fractions = model.detections(1, 1, spec.num_classes)
            found[name][image.id] = placement.visible(placement.to_picture(fractions))
        tell(number)
    scores = {}
    for name, detections in found.items():
        evaluator = CocoEvaluator(spec.labels, truth, label_of)
        for image_id, of_image in detections.items():
            evaluator.add(image_id, of_image)
        scores[name] = evaluator.score()
    about = {"dataset": dataset.name, "images": len(truth)}
    return {name: {"AP": score.AP, "AP50": score.AP50, **about} for name, score in scores.items()}


def _decoded(image: LabelledImage, dataset: DetectionSet, spec: InputSpec) -> Decoded:
    check = partial(image.size_problem, annotations=dataset.annotations)
    return load_for(image.path, spec, image.apply_orientation, check)


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
    dataset: DetectionSet,
    console: Console,
    on_bad_data: OnBadData = "error",
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
        scores = measure_map(models, spec, dataset, lambda done: progress.update(task, completed=done), on_bad_data)
    maps = beside_pytorch(scores)
    return [
        dataclasses.replace(file, entry=dataclasses.replace(file.entry, map=maps[file.entry.path])) for file in files
    ]
