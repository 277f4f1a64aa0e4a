"""The detector as a static inference graph: raw image in, boxes, classes, scores and count out."""

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mobiledet.detectors import Detector, RawOutputs, StaticDetections
from mobiledet.detectors.dense import DenseDetector
from mobiledet.errors import UserError
from mobiledet.ops.boxes import to_cxcywh
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec


class PostProcess(nn.Module):
    """Turns raw outputs into detections.

    It is a module of its own so that its operations carry its name in every exported graph and can be distinguished
    from those of the network: they must stay in 32 bits. A two-stage detector has more such modules inside, all with
    ``PostProcess`` in their names.
    """

    def __init__(self, detector: Detector, nms: NmsSpec) -> None:
        super().__init__()
        self._select = detector.postprocess_static  # a bound method: the detector is no submodule of this one
        self._nms = nms

    def forward(self, raw: Any) -> StaticDetections:
        """Raw outputs of one image to its detections in constant shapes."""
        return self._select(raw, self._nms)


class ObjectCandidates(NamedTuple):
    """Input of Core ML's non-maximum suppression: the K best (box, class) pairs, one a row.

    Attributes:
        raw_confidence: K x C; each row holds the score of its class and zeros.
        raw_coordinates: K x 4, (centre x, centre y, width, height) in 0..1.
    """

    raw_confidence: Tensor
    raw_coordinates: Tensor


class CandidatesPostProcess(nn.Module):
    """Turns raw outputs into candidates for suppression; stays in 32 bits like ``PostProcess``.

    Each row has a score for one class only, because Vision uses the sum of a row as the confidence of the object. So
    the confidence is the score, and the suppression keeps the same candidates as ``PostProcess``.
    """

    def __init__(self, detector: Detector, nms: NmsSpec, num_classes: int) -> None:
        super().__init__()
        self._select = detector.candidates_static
        self._nms = nms
        self._num_classes = num_classes

    def forward(self, raw: Any) -> ObjectCandidates:
        """Raw outputs of one image to its candidates."""
        boxes, labels, scores = self._select(raw, self._nms)
        # 1 - min(|label - class|, 1) for whole numbers: one where they are equal
        is_other = (labels.unsqueeze(1) - torch.arange(self._num_classes).unsqueeze(0)).abs().clamp(max=1)
        start, end = boxes.split(2, dim=1)
        return ObjectCandidates(
            (1 - is_other) * scores.unsqueeze(1), torch.cat(((start + end) / 2, end - start), dim=1)
        )


class Normalization(nn.Module):
    """Normalises images, N x 3 x H x W RGB in 0..255, for the network.

    Attributes:
        mean, std: 1 x 3 x 1 x 1, in 0..255; ``std`` is None if the scale is folded into the network's weights.
    """

    mean: Tensor
    std: Tensor | None

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """N x 3 x H x W in 0..255 to normalised images of the same shape."""
        centred = images - self.mean
        return centred if self.std is None else centred / self.std

    def of_rows(self, width: int) -> "Normalization":
        """The same normalisation for rows of ``width`` pixels, N x H x (3 * width)."""
        rows = copy.deepcopy(self)
        rows.mean = self.mean.flatten().repeat(width)
        rows.std = None if self.std is None else self.std.flatten().repeat(width)
        return rows


class ImageGraph(nn.Module):
    """A detector with normalisation and post-processing: 1 x 3 x H x W raw RGB in 0..255, as float32.

    Args:
        detector: a detector in evaluation mode.
        post_process: module that takes the raw outputs of the detector.
        spec: spec of the detector, for its input.
    """

    def __init__(self, detector: Detector, post_process: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.detector = detector
        self.post_process = post_process
        self.normalization = Normalization(spec.input)

    def forward(self, image: Tensor) -> Any:
        """1 x 3 x H x W raw RGB to the outputs of the post-processing."""
        return self.detect(self.normalization(image))

    def detect(self, normalized: Tensor) -> Any:
        """The rest of ``forward``, for a normalised image."""
        return self.post_process(self.detector.forward_static(normalized))


class DetectionGraph(ImageGraph):
    """An image graph that returns detections.

    Args:
        detector: a detector in evaluation mode.
        spec: its input and suppression settings.
    """

    def __init__(self, detector: Detector, spec: ModelSpec) -> None:
        super().__init__(detector, PostProcess(detector, spec.nms), spec)


class ScoredAnchors(NamedTuple):
    """Outputs before decoding and suppression, for apps and operations that do these themselves.

    Attributes:
        deltas: 1 x A x 4 offsets (y, x, height, width) from the anchors.
        scores: 1 x A x C in 0..1.
    """

    deltas: Tensor
    scores: Tensor


class AnchorTable(NamedTuple):
    """The anchors to which the offsets of ``ScoredAnchors`` refer.

    centre = anchor centre + offset / weight * anchor side; side = anchor side * exp(offset / weight).

    Attributes:
        yxhw: A x 4 centres and sides of the anchors, as fractions of the image.
        coder_weights: weights of x, y, width and height.
    """

    yxhw: np.ndarray
    coder_weights: tuple[float, ...]

    @classmethod
    def of(cls, detector: DenseDetector) -> "AnchorTable":
        """The anchors of a detector, as fractions of its input."""
        height, width = detector.image_size
        fractions = detector.anchors_xyxy / detector.anchors_xyxy.new_tensor([width, height, width, height])
        return cls(to_cxcywh(fractions)[:, [1, 0, 3, 2]].numpy(), detector.loss.coder_weights)


def require_one_stage(postprocess: str, detector: Detector, spec: ModelSpec) -> None:
    """Check that a detector supports the requested post-processing.

    Only one-stage detectors whose raw outputs are offsets from anchors can be exported without it in the graph.

    Raises:
        UserError: the detector does not support it.
    """
    if postprocess != "graph" and not isinstance(detector, DenseDetector):
        raise UserError(
            f"--postprocess {postprocess} is for one-stage detectors with anchors, which {spec.detector} is not: "
            "leave the option out"
        )


class ScoresPostProcess(nn.Module):
    """Turns raw outputs of a dense detector into ``ScoredAnchors``; stays in 32 bits like ``PostProcess``."""

    def __init__(self, detector: DenseDetector) -> None:
        super().__init__()
        self._scores = detector.loss.scores

    def forward(self, raw: RawOutputs) -> ScoredAnchors:
        """Raw outputs of one image to the scores and offsets of its anchors."""
        x, y, width, height = raw.box_deltas.split(1, dim=2)
        return ScoredAnchors(torch.cat((y, x, height, width), dim=2), self._scores(raw.class_logits))


class ScoresGraph(ImageGraph):
    """An image graph that returns scores and offsets of all anchors.

    Args:
        detector: a detector in evaluation mode.
        spec: spec of the detector, for its input.
    """

    def __init__(self, detector: DenseDetector, spec: ModelSpec) -> None:
        super().__init__(detector, ScoresPostProcess(detector), spec)


class CandidateGraph(ImageGraph):
    """An image graph that returns the candidates for Core ML's suppression.

    Args:
        detector: a detector in evaluation mode.
        spec: its input and suppression settings.
    """

    def __init__(self, detector: Detector, spec: ModelSpec) -> None:
        super().__init__(detector, CandidatesPostProcess(detector, spec.nms, spec.num_classes), spec)


class ChannelsLastGraph(nn.Module):
    """A graph with the input layout of TFLite, 1 x H x W x 3 raw RGB, and named outputs.

    Whole rows are normalised at once: with the colours as a separate dimension, XNNPACK processes the image number by
    number, which takes 20 times as long (0.28 ms instead of 0.014 ms at 320 pixels).

    Args:
        graph: graph of the detector; returns a NamedTuple.
        width: width of the image in pixels.
    """

    def __init__(self, graph: ImageGraph, width: int) -> None:
        super().__init__()
        self.detection = graph  # torch.export cannot take a submodule called graph
        self.normalization = graph.normalization.of_rows(width)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """1 x H x W x 3 raw RGB to the outputs by name."""
        normalized = self.normalization(image.flatten(2)).view(image.shape)
        outputs: dict[str, Tensor] = self.detection.detect(normalized.permute(0, 3, 1, 2))._asdict()
        return outputs
