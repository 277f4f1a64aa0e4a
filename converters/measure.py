"""mAP of exported files, beside that of the PyTorch detector that they were made from."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch

from mobiledet.data.categories import match_labels
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.images import load_rgb, resize
from mobiledet.data.record import DataRecord
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec
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


def load_validation(
    data: str | None, run: DataRecord | None, limit: int, on_bad_data: str | None = None
) -> DetectionSet:
    """The images that mAP is measured on.

    Args:
        data: a folder of annotated images or ``shapes``, whose validation part is taken; None takes what the training
            run was validated on.
        run: what the checkpoint tells of its data, None if nothing.
        limit: images at most; 0 takes all.
        on_bad_data: as in ``check.checked``; None does as the run did.

    Raises:
        UserError: there is none, its data is bad, or it has no box to find.
    """
    if limit < 0:
        raise UserError(f"--measure-images {limit} is negative")
    options = dict(run.options if run else DEFAULTS)
    if on_bad_data:
        options["on_bad_data"] = on_bad_data
    if not (data or options["data"] or options["val_images"]):
        raise UserError("--measure needs --data, a folder of annotated images or the word shapes")
    dataset = load_part(options, "val", data).first(limit)
    if not any(dataset.objects):
        raise UserError(f"{dataset.annotations} has no box to find, so there is no mAP to measure; give other --data")
    return dataset


def measure_map(
    models: Mapping[str, Model], spec: ModelSpec, dataset: DetectionSet, tell: Callable[[int], None] = lambda _: None
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
    label_of = match_labels(spec, dataset)
    evaluators = {name: CocoEvaluator(spec.labels, dataset.truth(), label_of) for name in models}
    for number, image in enumerate(dataset.images, start=1):
        rgb = load_rgb(image.path, image.apply_orientation)
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
    about = {"dataset": dataset.name, "images": len(dataset.images)}
    return {name: {"AP": score.AP, "AP50": score.AP50, **about} for name, score in scores.items()}


def beside_pytorch(measured: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The entries of the files, each with ``pytorch``, the AP of the detector, and ``drop``, how much less it has."""
    base = measured[PYTORCH]["AP"]
    return {
        name: {**entry, "pytorch": base, "drop": base - entry["AP"]}
        for name, entry in measured.items()
        if name != PYTORCH
    }
