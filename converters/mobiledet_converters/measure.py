"""mAP of exported files, compared with that of the PyTorch detector that they were converted from."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.console import Console

from mobiledet.data.categories import match_labels
from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet, LabelledImage, LeftOut, count_by_reason
from mobiledet.data.images import load_for_input
from mobiledet.data.record import DataRecord
from mobiledet.data.resize import resize_to_input
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.devices.base import ImageModel
from mobiledet.errors import UserError
from mobiledet.metrics.scoring import collect, evaluator_of, require_boxes
from mobiledet.ops.images import normalize
from mobiledet.placement import Placement
from mobiledet.progress import counting_bar
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.trained_on import DEFAULTS, load_part

PYTORCH = "PyTorch"


class TorchModel:
    """The PyTorch detector as an ``ImageModel``."""

    def __init__(self, detector: Detector, spec: ModelSpec) -> None:
        self._detector = detector
        self._spec = spec

    def set_input(self, image: np.ndarray) -> None:
        """Set the image: height x width x 3 uint8 RGB."""
        self._image = normalize(torch.from_numpy(image[None]).permute(0, 3, 1, 2), self._spec.input)

    @torch.inference_mode()
    def invoke(self) -> None:
        """Run the detector with its post-processing."""
        (self._found,) = self._detector.postprocess(self._detector(self._image), self._spec.nms)

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """Detections in pixels of an image of this size, whose aspect ratio the model's input has."""
        stretched = InputSpec(self._spec.input.height, self._spec.input.width)
        return self._found.to_image(Placement.of(image_height, image_width, stretched))


def load_validation(config: ExportConfig, run: DataRecord | None, spec: ModelSpec) -> tuple[DetectionSet | None, str]:
    """The images that mAP is measured on, spread evenly over a validation set.

    Args:
        config: data set and number of images; without a data set, the validation set of the training run is used.
        run: the checkpoint's record of its data; None if it has none.
        spec: spec of the model.

    Returns:
        the images and an empty string, or None and the reason why there are none.

    Raises:
        UserError: the data set that ``config`` names cannot be used, has a class that the model does not know, or has
            no boxes.
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
        require_boxes(dataset, "--no-measure to do without")
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
        return None, f"for {dataset.annotations} has no boxes in {len(steps)} images; give other --data"
    return chosen, ""


def measure_map(
    models: Mapping[str, ImageModel],
    spec: ModelSpec,
    dataset: DetectionSet,
    on_image: Callable[[], None] = lambda: None,
    on_bad_data: OnBadData = "error",
) -> tuple[dict[str, dict[str, Any]], list[LeftOut]]:
    """Run every model on every image and compute mAP; each image is decoded once.

    Args:
        models: models by name.
        spec: their common spec.
        dataset: images and ground truth.
        on_image: called after each image.
        on_bad_data: with ``skip``, an image that cannot be decoded is left out, of the score too.

    Returns:
        for each name ``AP``, ``AP50``, ``dataset`` and ``images`` (a count); and the images that were left out.

    Raises:
        UserError: an image is damaged or not of its annotated size, or the data set has a category that the model does
            not know.
    """
    label_of = match_labels(spec, dataset)
    found, left_out = collect(_detected(models, spec, dataset), on_bad_data, on_progress=on_image)
    scores = {}
    for name in models:
        own = {image_id: detections[name] for image_id, detections in found.items()}
        score = evaluator_of(spec.labels, dataset, own, label_of).score()
        scores[name] = {"AP": score.AP, "AP50": score.AP50, "dataset": dataset.name, "images": len(found)}
    return scores, left_out


def _detected(
    models: Mapping[str, ImageModel], spec: ModelSpec, dataset: DetectionSet
) -> Iterator[tuple[LabelledImage, dict[str, Detections], str]]:
    """Each image with the detections of each model by name, or with an error message."""
    for image in dataset.images:
        check = partial(image.size_problem, annotations=dataset.annotations)
        try:
            decoded = load_for_input(image.path, spec.input, image.apply_orientation, check)
        except UserError as error:
            yield image, {}, str(error)
            continue
        pixels = resize_to_input(decoded.pixels, spec.input, decoded.extent)
        placement = Placement.of(decoded.height, decoded.width, spec.input)
        found = {}
        for name, model in models.items():
            model.set_input(pixels)
            model.invoke()
            found[name] = placement.visible(placement.to_image(model.detections(1, 1, spec.num_classes)))
        yield image, found, ""


def with_drops(scores: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The scores of the files, each with ``pytorch``, the AP of the PyTorch detector, and ``drop``, the loss against
    it."""
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
    """Measure mAP and record it in the bundle entry of each file.

    Raises:
        UserError: an image is damaged and ``on_bad_data`` is ``error``.
    """
    models: dict[str, ImageModel] = {PYTORCH: TorchModel(detector, spec)}
    models.update({file.entry.path: file.model for file in files})
    with counting_bar(console=console) as progress:
        task = progress.add_task(f"mAP of {len(models)} models", total=len(dataset.images))
        scores, left_out = measure_map(models, spec, dataset, lambda: progress.advance(task), on_bad_data)
    if left_out:
        console.print(f"mAP leaves out {count_by_reason(left_out)}, such as {left_out[0].text}", markup=False)
    maps = with_drops(scores)
    return [
        dataclasses.replace(file, entry=dataclasses.replace(file.entry, map=maps[file.entry.path])) for file in files
    ]
