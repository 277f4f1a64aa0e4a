"""The detector as a static inference graph: raw image in, boxes, classes, scores and count out."""

from typing import Any

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
