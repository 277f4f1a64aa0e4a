"""NanoDet-Plus (RangiLyu/nanodet, 2021): an anchor-free detector for phones.

There is no paper; the sources are the authors' code and config/nanodet-plus-m_320.yml. It combines Generalized Focal
Loss (arXiv:2006.04388), a path aggregation network of Ghost bottlenecks, dynamic soft label assignment and, only in
training, an assign guidance module: a second neck with a larger head, whose predictions assign the targets of both
heads. The published networks also have LeakyReLU in their ShuffleNetV2 (the backbone option ``activation``).

One deviation from the authors' code, with the same result: the last convolution of the head is split in two.
"""

import copy
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.backbones import Backbone
from mobiledet.detectors.base import Detector, ImageDetections, StaticCandidates, StaticDetections, Targets
from mobiledet.detectors.dense import level_shapes, require_multiples
from mobiledet.detectors.distribution_heads import DistributionHead, DistributionOutputs, GuideHead
from mobiledet.detectors.distribution_loss import DistributionLoss
from mobiledet.detectors.ghost_pan import GhostPAN
from mobiledet.detectors.postprocess import select_candidates_static, select_detections, suppress_static
from mobiledet.layers import activation_layer
from mobiledet.ops.distances import corner_priors, expected_distances
from mobiledet.options import NanoDetPlusOptions
from mobiledet.spec import NmsSpec

BINS = 8
CLASS_PRIOR_BIAS = -4.595  # initial scores are 0.01
HEAD_STD = 0.01
GUIDANCE = "guidance"


class AssignGuidance(nn.Module):
    """A copy of the neck, and a larger head on the maps of both necks; used only in training.

    Args:
        neck: neck of the detector.
        head: head for maps of twice the neck's channels.

    Attributes:
        is_detached: whether it passes no gradient to backbone and neck, so that the detector learns only from its own
            losses.
    """

    def __init__(self, neck: GhostPAN, head: GuideHead) -> None:
        super().__init__()
        self.neck = copy.deepcopy(neck)
        self.head = head
        self.is_detached = False

    def forward(self, features: Sequence[Tensor], maps: Sequence[Tensor]) -> DistributionOutputs:
        """Predictions from the maps of the backbone (``features``) and of the detector's neck (``maps``)."""
        if self.is_detached:
            features, maps = [f.detach() for f in features], [m.detach() for m in maps]
        both = [torch.cat(pair, dim=1) for pair in zip(maps, self.neck(features), strict=True)]
        outputs: DistributionOutputs = self.head(both)
        return outputs


class NanoDetPlus(Detector[DistributionOutputs]):
    """NanoDet-Plus for one image size.

    Args:
        backbone: computes the feature maps.
        neck: converts them to the levels of the head.
        head: predicts for every cell of every level.
        image_size: (height, width) in pixels.
        strides: strides of the levels.
        make_guide: makes the head of the guidance with random weights; None for no guidance.
        detach_epoch: epoch, counted from 0, from which the guidance passes no gradient to backbone and neck.
    """

    priors: Tensor
    training_parts = (GUIDANCE,)

    def __init__(
        self,
        backbone: Backbone,
        neck: GhostPAN,
        head: DistributionHead,
        image_size: tuple[int, int],
        strides: Sequence[int],
        make_guide: partial[GuideHead] | None,
        detach_epoch: int,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.loss = DistributionLoss(head.bins)
        self.image_size = image_size
        self.guidance: AssignGuidance | None = None
        self._make_guide = make_guide
        self._detach_epoch = detach_epoch
        shapes = level_shapes(image_size, strides[0], len(strides))
        self.register_buffer("priors", corner_priors(shapes, strides), persistent=False)
        _initialise(head)

    def add_training_parts(self) -> None:
        """Add the auxiliary head that assigns boxes in training."""
        if self._make_guide is None:
            return
        head = self._make_guide()
        _initialise(head)
        self.guidance = AssignGuidance(self.neck, head).to(self.priors.device).train(self.training)

    def start_epoch(self, epoch: int) -> None:
        """Detach the auxiliary head from the gradients from some epoch on."""
        if self.guidance is not None:
            self.guidance.is_detached = epoch >= self._detach_epoch

    def forward(self, images: Tensor, targets: Targets | None = None) -> DistributionOutputs | dict[str, Tensor]:
        """Raw outputs, or losses if ``targets`` are given; see ``Detector.forward``."""
        features = self.backbone(images)
        maps = self.neck(features)
        raw: DistributionOutputs = self.head(maps)
        if targets is None:
            return raw
        guide = None if self.guidance is None else self.guidance(features, maps)
        losses: dict[str, Tensor] = self.loss(raw, guide, self.priors, targets)
        return losses

    def postprocess(self, raw: DistributionOutputs, nms: NmsSpec) -> list[ImageDetections]:
        """Decode and clip the boxes of all positions, and suppress them, for each image."""
        height, width = self.image_size
        boxes = self.loss.boxes(raw.distance_logits.float(), self.priors)
        boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
        return select_detections(boxes, raw.class_logits.float().sigmoid(), nms)

    def candidates_static(self, raw: DistributionOutputs, nms: NmsSpec) -> StaticCandidates:
        """Candidates of one image before suppression; see ``Detector.candidates_static``."""
        height, width = self.image_size
        # fractions instead of pixels: areas of pixel boxes overflow float16
        x, y, stride = self.priors.unbind(1)
        points = torch.stack((x / width, y / height, x / width, y / height), dim=1)
        cells = torch.stack((-stride / width, -stride / height, stride / width, stride / height), dim=1)

        def boxes_of(rows: Tensor) -> Tensor:
            distances = expected_distances(F.embedding(rows, raw.distance_logits[0]), self.loss.bins)
            return (F.embedding(rows, points) + distances * F.embedding(rows, cells)).clamp(0, 1)

        return select_candidates_static(raw.class_logits[0], torch.sigmoid, boxes_of, nms.top_k)

    def postprocess_static(self, raw: DistributionOutputs, nms: NmsSpec) -> StaticDetections:
        """As ``postprocess``, for one image; see ``Detector.postprocess_static``."""
        return suppress_static(self.candidates_static(raw, nms), nms)


def _initialise(head: DistributionHead | GuideHead) -> None:
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=HEAD_STD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in head.classes.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.constant_(module.bias, CLASS_PRIOR_BIAS)


def nanodet_plus(
    backbone: Backbone, num_classes: int, image_size: tuple[int, int], options: NanoDetPlusOptions
) -> NanoDetPlus:
    """NanoDet-Plus with four levels from stride 8. Arguments as in ``build_detector``."""
    info = backbone.feature_info
    require_multiples("nanodet_plus", image_size, info[-1].stride)
    make_activation = activation_layer(options.activation)
    strides = (*(i.stride for i in info), 2 * info[-1].stride)
    neck = GhostPAN(info, options.channels, nn.BatchNorm2d, make_activation)
    head = DistributionHead(len(strides), options.channels, num_classes, BINS, nn.BatchNorm2d, make_activation)
    guide = partial(GuideHead, len(strides), 2 * options.channels, num_classes, BINS, make_activation)
    return NanoDetPlus(
        backbone, neck, head, image_size, strides, guide if options.guidance else None, options.detach_epoch
    )
