"""Runs .tflite files of each kind on images; part of ``real_data.py``."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torchvision.ops import batched_nms, box_convert

from mobiledet import Detector
from mobiledet.data.dataset import LabelledImage
from mobiledet.data.images import load_for_input
from mobiledet.data.resize import resize_to_input
from mobiledet.detections import Detections
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec, Resize

MOST = 300  # detections of a picture
MIN_SCORE = 0.001

Arrays = list[NDArray[np.float32]]


class Candidates(NamedTuple):
    """A boxes, xyxy as shares of the input, and A x C scores; ``is_final`` where nothing is to be suppressed."""

    boxes: torch.Tensor
    scores: torch.Tensor
    is_final: bool = False


def of_ultralytics(outputs: Arrays, side: int, classes: int) -> Candidates:
    """Either 1 x 4 + C x A (centre and size as shares of the input), or 1 x 300 x 6, final and in pixels."""
    (output,) = (torch.from_numpy(values[0]) for values in outputs)
    if output.shape[-1] == 6:
        scores = torch.zeros(len(output), classes)
        scores[torch.arange(len(output)), output[:, 5].long()] = output[:, 4]
        return Candidates(output[:, :4] / side, scores, is_final=True)
    return Candidates(box_convert(output[:4].T, "cxcywh", "xyxy"), output[4:].T)


def of_torchvision(outputs: Arrays, side: int, classes: int) -> Candidates:
    """1 x A x 4 + C: boxes as shares of the input, and scores."""
    (output,) = (torch.from_numpy(values[0]) for values in outputs)
    return Candidates(output[:, :4], output[:, 4:])


class Read(NamedTuple):
    """How the file of a peer is read: its outputs, the IoU of its suppression, and how pictures become its input."""

    candidates: Callable[[Arrays, int, int], Candidates]
    nms_iou: float
    resize: Resize


ULTRALYTICS = Read(of_ultralytics, 0.7, "letterbox")  # as its own validation does
TORCHVISION = Read(of_torchvision, 0.55, "stretch")  # as its SSDLite320 does


def found_by_peer(file: Path, read: Read, images: Iterable[LabelledImage], side: int, classes: int) -> list[Detections]:
    """The detections of a peer's file, in pixels of the images."""
    interpreter = Interpreter(model_path=str(file))
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    taken = interpreter.get_output_details()
    spec = InputSpec(side, side, resize=read.resize)
    channels_first = given["shape"][1] == 3
    found = []
    for image in images:
        decoded = load_for_input(image.path, spec, image.apply_orientation)
        pixels = resize_to_input(decoded.pixels, spec, decoded.extent).astype(np.float32)[None] / 255
        interpreter.set_tensor(given["index"], pixels.transpose(0, 3, 1, 2) if channels_first else pixels)
        interpreter.invoke()
        outputs = [interpreter.get_tensor(output["index"]) for output in taken]
        chosen = _suppressed(read.candidates(outputs, side, classes), read.nms_iou)
        found.append(Placement.of(image.height, image.width, spec).to_image(chosen))
    return found


def _suppressed(candidates: Candidates, iou: float) -> Detections:
    """At most 300; suppression goes by class."""
    rows, labels = (candidates.scores > MIN_SCORE).nonzero(as_tuple=True)
    boxes, scores = candidates.boxes[rows], candidates.scores[rows, labels]
    kept = scores.argsort(descending=True) if candidates.is_final else batched_nms(boxes, scores, labels, iou)
    kept = kept[:MOST]
    return Detections(boxes[kept].numpy(), scores[kept].numpy(), labels[kept].numpy())


def found_by_ours(bundle: Path, images: Iterable[LabelledImage]) -> list[Detections]:
    """The detections of a bundle's float32 file, in pixels of the images."""
    with Detector.open(bundle, file="float32") as detector:
        results = detector.detect([image.path for image in images], score=0.0)
    return [Detections(result.boxes, result.scores, result.labels) for result in results]
