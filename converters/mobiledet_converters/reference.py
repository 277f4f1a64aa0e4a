"""The detections of PyTorch in real images: the reference that model files are compared with."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.images import list_images, load_for_input, load_rgb
from mobiledet.data.record import ImageFile, ImageFileList, image_files_of
from mobiledet.data.resize import resize_to_input
from mobiledet.data.shapes import shapes_folder
from mobiledet.detections import Detections
from mobiledet.detectors import Detector, ImageDetections, RawOutputs
from mobiledet.detectors.dense import DenseDetector
from mobiledet.detectors.postprocess import select_detections
from mobiledet.errors import UserError
from mobiledet.ops.box_coder import decode
from mobiledet.ops.images import normalize
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.trained_on import trained_on


def choose_images(
    checkpoint: Path,
    images: Path | None,
    count: int,
    on_bad_data: OnBadData = "error",
    annotated: DetectionSet | None = None,
) -> list[ImageFile]:
    """Choose images, spread evenly over a folder or a data set.

    Args:
        checkpoint: by default the validation images of its training run are used, if they still exist.
        images: a folder or a single image to use instead.
        count: the largest number of images.
        on_bad_data: with ``skip``, images that cannot be decoded are not chosen.
        annotated: a data set to use if ``images`` is None.

    Raises:
        UserError: ``images`` does not exist or contains no images, or ``count`` is not positive.
    """
    if count < 1:
        raise UserError(f"--parity-images is {count}; at least one image is needed for the comparison")
    if images:
        found = image_files_of(list_images(images))
    elif annotated:
        found = ImageFileList.of(annotated, annotated.images_dir).image_files()
    else:
        found = _validation_images(checkpoint) or _shapes(count)
    if on_bad_data == "skip":
        found = _decodable(found, count)
    steps = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [found[index] for index in steps]


def _validation_images(checkpoint: Path) -> list[ImageFile]:
    """The validation images of the training run; empty if they are unknown or no longer exist."""
    run = trained_on(checkpoint)
    return run.val.existing_files() if run else []


def _decodable(found: list[ImageFile], count: int) -> list[ImageFile]:
    """Up to ``count`` images that can be decoded, spread over the list as evenly as possible."""
    order = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int).tolist()
    order += [index for index in range(len(found)) if index not in set(order)]
    good: list[int] = []
    problem = ""
    for index in order:
        if len(good) == count:
            break
        try:
            load_rgb(found[index].path)
            good.append(index)
        except UserError as error:
            problem = problem or str(error)
    if not good:
        raise UserError(f"no image can be used for the comparison, for example: {problem}; choose others with --images")
    return [found[index] for index in sorted(good)]


def _shapes(count: int) -> list[ImageFile]:
    return image_files_of(list_images(shapes_folder(train=0, val=max(count, 8)) / "val2017"))


def load_inputs(images: Sequence[ImageFile | Path], spec: InputSpec) -> list[np.ndarray]:
    """Decode and resize images to the model's input: height x width x 3 uint8 RGB each.

    Raises:
        UserError: an image cannot be decoded.
    """
    inputs = []
    for image in image_files_of(images):
        try:
            decoded = load_for_input(image.path, spec, image.apply_orientation)
        except UserError as error:
            raise UserError(f"{error}; repair it, pass --on-bad-data skip, or choose others with --images") from error
        inputs.append(resize_to_input(decoded.pixels, spec, decoded.extent))
    return inputs


@dataclass(frozen=True)
class Reference:
    """The detections of PyTorch, with which every file is compared.

    Attributes:
        spec: spec of the model.
        inputs: images, height x width x 3 uint8 RGB each.
        detections: detections in each image, boxes xyxy in pixels of the input.
        cuts: for each image, the score below which there are no candidates (see ``parity.compare``).
        raw: outputs of the network for the first image, by name (see ``Detector.comparable``).
    """

    spec: ModelSpec
    inputs: Sequence[np.ndarray]
    detections: list[Detections]
    cuts: list[float]
    raw: dict[str, np.ndarray]


@torch.inference_mode()
def make_reference(
    detector: Detector, spec: ModelSpec, inputs: Sequence[np.ndarray], postprocess: str = "graph"
) -> Reference:
    """Run the detector on the images, with the dynamic post-processing, which shares little code with that in files.

    Args:
        detector: a detector in evaluation mode.
        spec: its spec.
        inputs: images, height x width x 3 uint8 RGB each.
        postprocess: post-processing of the files, see ``ExportConfig``; the custom operation has rules of its own.
    """
    images = normalize(torch.from_numpy(np.stack(inputs)).permute(0, 3, 1, 2), spec.input)
    raw = detector(images)
    if postprocess == "custom-op":
        assert isinstance(detector, DenseDetector), "the converter has refused others"
        found, cuts = _as_custom_operation(detector, raw, spec), [spec.nms.score] * len(inputs)
        return Reference(spec, inputs, [each.to_numpy() for each in found], cuts, _comparable(detector, raw))
    found = detector.postprocess(raw, spec.nms)
    # almost without suppression, all candidates except equal boxes come out: half of top_k means a full list
    all_candidates = dataclasses.replace(spec.nms, iou=1 - 1e-6, max_detections=spec.nms.top_k)
    scores = [image.scores for image in detector.postprocess(raw, all_candidates)]
    cuts = [float(s[-1]) if 2 * len(s) >= spec.nms.top_k else spec.nms.score for s in scores]
    return Reference(spec, inputs, [each.to_numpy() for each in found], cuts, _comparable(detector, raw))


def _as_custom_operation(detector: DenseDetector, raw: RawOutputs, spec: ModelSpec) -> list[ImageDetections]:
    """Detections by the rules of TFLite_Detection_PostProcess: every (box, class) pair above the threshold is a
    candidate, and boxes are not clipped to the image."""
    boxes = decode(raw.box_deltas, detector.anchors_xyxy, detector.loss.coder_weights)
    scores = detector.loss.scores(raw.class_logits)
    return select_detections(boxes, scores, dataclasses.replace(spec.nms, top_k=scores[0].numel()))


def _comparable(detector: Detector, raw: Any) -> dict[str, np.ndarray]:
    """The comparable outputs for the first image."""
    return {name: values[:1].numpy() for name, values in detector.comparable(raw).items()}
