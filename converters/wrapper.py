"""The detector as a static inference graph: raw image in, boxes, classes, scores and count out."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mobiledet.detectors import Detector, StaticDetections
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec, NmsSpec


class PostProcess(nn.Module):
    """Raw outputs to detections. A module of its own, so that its operations carry its name in every exported graph
    and can be told from those of the network: they must stay in 32 bits. A detector of two stages has more such modules
    inside, all with ``PostProcess`` in their names."""

    def __init__(self, detector: Detector, nms: NmsSpec) -> None:
        super().__init__()
        self._select = detector.postprocess_static  # a bound method: the detector is no submodule of this one
        self._nms = nms

    def forward(self, raw: Any) -> StaticDetections:
        return self._select(raw, self._nms)


class ObjectCandidates(NamedTuple):
    """What Core ML's suppression takes; K rows, the best (box, class) pairs.

    Attributes:
        raw_confidence: K x C; each row holds the score of its class and zeros.
        raw_coordinates: K x 4, (centre x, centre y, width, height) in 0..1.
    """

    raw_confidence: Tensor
    raw_coordinates: Tensor


class CandidatesPostProcess(nn.Module):
    """Raw outputs to what is left to suppress; stays in 32 bits like ``PostProcess``.

    A row has one class alone because Vision takes the sum of a row for the confidence of its object; so it is the
    score, whatever the detector's scores mean, and the suppression keeps what ``PostProcess`` keeps.
    """

    def __init__(self, detector: Detector, nms: NmsSpec, num_classes: int) -> None:
        super().__init__()
        self._select = detector.candidates_static
        self._nms = nms
        self._num_classes = num_classes

    def forward(self, raw: Any) -> ObjectCandidates:
        boxes, labels, scores = self._select(raw, self._nms)
        # 1 - min(|label - class|, 1) for whole numbers: one where they are equal
        is_other = (labels.unsqueeze(1) - torch.arange(self._num_classes).unsqueeze(0)).abs().clamp(max=1)
        start, end = boxes.split(2, dim=1)
        return ObjectCandidates(
            (1 - is_other) * scores.unsqueeze(1), torch.cat(((start + end) / 2, end - start), dim=1)
        )


class CandidateGraph(nn.Module):
    """1 x 3 x H x W raw RGB in 0..255, as float32, to what Core ML's suppression takes.

    Args:
        detector: in evaluation mode.
        spec: its input and suppression settings.
    """

    def __init__(self, detector: Detector, spec: ModelSpec) -> None:
        super().__init__()
        self.detector = detector
        self.post_process = CandidatesPostProcess(detector, spec.nms, spec.num_classes)
        self._input = spec.input

    def forward(self, image: Tensor) -> ObjectCandidates:
        candidates: ObjectCandidates = self.post_process(self.detector.forward_static(normalize(image, self._input)))
        return candidates


class DetectionGraph(nn.Module):
    """1 x 3 x H x W raw RGB in 0..255, as float32, to detections.

    Args:
        detector: in evaluation mode.
        spec: its input and suppression settings.
    """

    def __init__(self, detector: Detector, spec: ModelSpec) -> None:
        super().__init__()
        self.detector = detector
        self.post_process = PostProcess(detector, spec.nms)
        self._input = spec.input

    def forward(self, image: Tensor) -> StaticDetections:
        detections: StaticDetections = self.post_process(self.detector.forward_static(normalize(image, self._input)))
        return detections


class ChannelsLastGraph(nn.Module):
    """1 x H x W x 3 raw RGB, as TFLite and its camera pipelines have it, to named detections."""

    def __init__(self, graph: DetectionGraph) -> None:
        super().__init__()
        self.detection = graph  # torch.export cannot take a submodule called graph

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        detections: StaticDetections = self.detection(image.permute(0, 3, 1, 2))
        return detections._asdict()


def prepare(module: nn.Module) -> None:
    """Fold each normalisation into the convolution before it, and drop gradients, in place.

    The converters would fold it too, but only after tracing the unfolded graph several times: this saves a quarter of
    the conversion time. Only neighbours in an ``nn.Sequential`` are folded, whose order of execution is certain.
    """
    module.requires_grad_(False)
    for parent in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for (name, conv), (next_name, norm) in zip(
            list(parent.named_children()), list(parent.named_children())[1:], strict=False
        ):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, next_name, nn.Identity())
