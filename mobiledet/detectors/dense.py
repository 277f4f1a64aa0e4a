"""Dense detectors, which predict for every anchor: backbone, neck, head, anchors and loss combined."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.backbones import Backbone
from mobiledet.detectors.base import (
    Detector,
    ImageDetections,
    RawOutputs,
    StaticCandidates,
    StaticDetections,
    Targets,
)
from mobiledet.detectors.heads import PyramidHead, SSDLiteHead
from mobiledet.detectors.losses import DenseLoss
from mobiledet.detectors.postprocess import select_candidates_static, select_detections, suppress_static
from mobiledet.errors import UserError
from mobiledet.ops.anchors import AnchorSizes, grid_anchors
from mobiledet.ops.box_coder import decode
from mobiledet.spec import NmsSpec


class DenseDetector(Detector):
    """A dense detector for one image size.

    Args:
        backbone: computes the feature maps.
        neck: converts them to the levels of the head, each half the size of the one before.
        head: predicts for the anchors of all levels.
        image_size: (height, width) in pixels.
        finest_stride: stride of the first level in pixels.
        anchors: (width, height) of the anchors of each level in fractions of the image.
        loss: the loss, which also defines the meaning of the raw outputs.
        clip_last: apply non-maximum suppression before boxes are clipped to the image, as in TensorFlow.
    """

    anchors_xyxy: Tensor

    def __init__(
        self,
        backbone: Backbone,
        neck: nn.Module,
        head: SSDLiteHead | PyramidHead,
        image_size: tuple[int, int],
        finest_stride: int,
        anchors: AnchorSizes,
        loss: DenseLoss,
        clip_last: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.loss = loss
        self.clip_last = clip_last
        self.image_size = image_size
        shapes = level_shapes(image_size, finest_stride, len(anchors))
        self.level_sizes = [rows * columns * len(level) for (rows, columns), level in zip(shapes, anchors, strict=True)]
        self.register_buffer("anchors_xyxy", grid_anchors(anchors, shapes, image_size), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """Initialise neck and head with normal weights of deviation 0.03, as in SSDLite, and the class biases with the
        value that the loss defines."""
        for module in (*self.neck.modules(), *self.head.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.head.classes.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.constant_(module.bias, self.loss.class_prior_bias())

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The feature maps of the backbone that the neck uses."""
        maps: tuple[Tensor, ...] = self.backbone(images)
        return maps

    def forward(self, images: Tensor, targets: Targets | None = None) -> RawOutputs | dict[str, Tensor]:
        """Raw outputs, or losses if ``targets`` are given; see ``Detector.forward``."""
        raw: RawOutputs = self.head(self.neck(self.features(images)))
        if targets is None:
            return raw
        losses: dict[str, Tensor] = self.loss(raw, self.anchors_xyxy, self.level_sizes, targets)
        return losses

    def postprocess(self, raw: RawOutputs, nms: NmsSpec) -> list[ImageDetections]:
        """Decode and clip the boxes of all anchors, and suppress them, for each image."""
        height, width = self.image_size
        boxes = decode(raw.box_deltas.float(), self.anchors_xyxy, self.loss.coder_weights)
        limits = boxes.new_tensor([width, height, width, height])
        scores = self.loss.scores(raw.class_logits.float())
        if not self.clip_last:
            return select_detections(torch.minimum(boxes.clamp(min=0), limits), scores, nms)
        found = select_detections(boxes, scores, nms)
        return [image._replace(boxes_xyxy=torch.minimum(image.boxes_xyxy.clamp(min=0), limits)) for image in found]

    def candidates_static(self, raw: RawOutputs, nms: NmsSpec) -> StaticCandidates:
        """Candidates of one image before suppression; see ``Detector.candidates_static``."""
        height, width = self.image_size
        # fractions instead of pixels: areas of pixel boxes overflow float16
        anchors = self.anchors_xyxy / self.anchors_xyxy.new_tensor([width, height, width, height])

        def boxes_of(rows: Tensor) -> Tensor:
            deltas = F.embedding(rows, raw.box_deltas[0])
            boxes = decode(deltas, F.embedding(rows, anchors), self.loss.coder_weights)
            return boxes if self.clip_last else boxes.clamp(0, 1)

        ranks = self.loss.ranks(raw.class_logits[0])
        return select_candidates_static(ranks, self.loss.scores_of_ranks, boxes_of, nms.top_k)

    def postprocess_static(self, raw: RawOutputs, nms: NmsSpec) -> StaticDetections:
        """As ``postprocess``, for one image; see ``Detector.postprocess_static``."""
        found = suppress_static(self.candidates_static(raw, nms), nms)
        return found._replace(boxes=found.boxes.clamp(0, 1)) if self.clip_last else found


def require_multiples(detector: str, image_size: tuple[int, int], stride: int) -> None:
    """Check the image size for a detector that upsamples feature maps by exactly 2.

    Raises:
        UserError: a side is not a multiple of the coarsest stride.
    """
    if any(side % stride for side in image_size):
        raise UserError(
            f"{detector} upsamples feature maps by exactly 2: it needs an image whose sides are multiples of "
            f"{stride}, not {image_size[0]} x {image_size[1]}"
        )


def level_shapes(image_size: tuple[int, int], finest_stride: int, num_levels: int) -> Sequence[tuple[int, int]]:
    """(height, width) of each level: the image divided by the finest stride, then half of the level before, each
    rounded up."""
    rows, columns = (-(-side // finest_stride) for side in image_size)
    shapes = []
    for _ in range(num_levels):
        shapes.append((rows, columns))
        rows, columns = -(-rows // 2), -(-columns // 2)
    return shapes
