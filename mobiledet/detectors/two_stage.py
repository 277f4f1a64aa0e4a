"""Two-stage detectors, which classify proposed regions: Faster R-CNN (arXiv:1506.01497)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mobiledet.backbones import Backbone
from mobiledet.detectors.base import (
    Detector,
    ImageDetections,
    RawOutputs,
    StaticCandidates,
    StaticDetections,
    Targets,
    TwoStageOutputs,
)
from mobiledet.detectors.box_heads import BoxHead
from mobiledet.detectors.postprocess import best_pairs, select_detections, suppress_static
from mobiledet.detectors.proposals import ProposalPostProcess, ProposalRule, select_proposals
from mobiledet.detectors.regions import RegionPooling
from mobiledet.detectors.rpn import SMOOTH_L1_BETA, ProposalLoss
from mobiledet.ops.box_coder import SSD_WEIGHTS, decode, encode
from mobiledet.ops.matching import IGNORED, match_two_thresholds
from mobiledet.ops.sampling import sample_balanced
from mobiledet.options import FasterRcnnOptions
from mobiledet.spec import NmsSpec

IMAGES_AT_A_TIME = 2  # images whose regions are in memory together if regions are recomputed for the gradient


class TwoStageDetector(Detector[TwoStageOutputs]):
    """A two-stage detector for one image size. Boxes are fractions of the image, except for ground-truth boxes and the
    anchors that are matched with them, which are in pixels.

    Args:
        backbone: computes the feature maps.
        neck: converts them to the levels of the first stage, of equal channels.
        rpn: the head of the first stage.
        pooling: pools the features of regions from the finest levels.
        box_head: the head of the second stage.
        anchors_xyxy: A x 4 pixels.
        level_sizes: number of anchors of each level.
        image_size: (height, width) in pixels.
        options: options of the detector, such as the numbers of proposals and samples.
    """

    anchors_xyxy: Tensor
    anchor_fractions: Tensor

    def __init__(
        self,
        backbone: Backbone,
        neck: nn.Module,
        rpn: nn.Module,
        pooling: RegionPooling,
        box_head: BoxHead,
        anchors_xyxy: Tensor,
        level_sizes: Sequence[int],
        image_size: tuple[int, int],
        options: FasterRcnnOptions,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.rpn = rpn
        self.pooling = pooling
        self.box_head = box_head
        self.unused_logits = box_head.unused_logits  # an export may put another module in its place
        self.image_size = image_size
        self.level_sizes = tuple(level_sizes)
        self.options = options
        overlap, score = options.proposal_iou, options.proposal_score
        self.rule = ProposalRule(options.candidates, options.proposals, overlap, score)
        self.train_rule = ProposalRule(options.train_candidates, options.train_proposals, overlap, score)
        self.post_process = ProposalPostProcess(level_sizes, self.rule)
        self.proposal_loss = ProposalLoss(
            options.rpn_background_iou, options.rpn_foreground_iou, options.rpn_samples, options.rpn_positives
        )
        self.register_buffer("anchors_xyxy", anchors_xyxy, persistent=False)
        self.register_buffer("anchor_fractions", anchors_xyxy / self._scale(anchors_xyxy), persistent=False)

    @property
    def finest_stride(self) -> int:
        """Stride of the finest feature level, in pixels of the input."""
        return self.pooling.strides[0]

    def _scale(self, like: Tensor) -> Tensor:
        """The factors from fractions to pixels, (width, height, width, height)."""
        height, width = self.image_size
        return like.new_tensor([width, height, width, height])

    def forward(self, images: Tensor, targets: Targets | None = None) -> TwoStageOutputs | dict[str, Tensor]:
        """Raw outputs, or losses if ``targets`` are given; see ``Detector.forward``."""
        features: list[Tensor] = self.neck(self.backbone(images))
        first: RawOutputs = self.rpn(features)
        if targets is not None:
            return self._losses(features, first, targets)
        proposals = self._propose(first, self.rule)
        return self._second_stage(first, proposals, self.pooling(features, proposals))

    def forward_static(self, image: Tensor) -> TwoStageOutputs:
        """As ``forward``, for one image; see ``Detector.forward_static``."""
        features: list[Tensor] = self.neck(self.backbone(image))
        first: RawOutputs = self.rpn(features)
        proposals = self.post_process(first.class_logits.squeeze(-1), first.box_deltas, self.anchor_fractions)
        return self._second_stage(first, proposals, self.pooling.forward_static(features, proposals))

    def _propose(self, first: RawOutputs, rule: ProposalRule) -> Tensor:
        """Proposals, N x limit x 4, without a gradient to the first stage."""
        logits, deltas = first.class_logits.detach().squeeze(-1).float(), first.box_deltas.detach().float()
        return select_proposals(logits, deltas, self.anchor_fractions, self.level_sizes, rule)

    def _second_stage(self, first: RawOutputs, proposals: Tensor, regions: Tensor) -> TwoStageOutputs:
        logits, deltas = self.box_head(regions)
        images, count = proposals.shape[:2]
        return TwoStageOutputs(logits.reshape(images, count, -1), deltas.reshape(images, count, -1), proposals, *first)

    def _losses(self, features: list[Tensor], first: RawOutputs, targets: Targets) -> dict[str, Tensor]:
        """The losses of both stages (Fast R-CNN, arXiv:1504.08083, section 2.3)."""
        options = self.options
        valid = targets.labels >= 0
        losses: dict[str, Tensor] = self.proposal_loss(first, self.anchors_xyxy, targets.boxes_xyxy, valid)

        with torch.no_grad():
            boxes = targets.boxes_xyxy / self._scale(targets.boxes_xyxy) * valid.unsqueeze(-1)
            # ground-truth boxes are added to the proposals, so that there are good ones from the start
            proposals = torch.cat((self._propose(first, self.train_rule), boxes), dim=1)
            matched = match_two_thresholds(boxes, valid, proposals, options.foreground_iou, options.foreground_iou)
            empty = (proposals[..., 2:] <= proposals[..., :2]).any(-1)
            index, sampled = sample_balanced(matched.masked_fill(empty, IGNORED), options.samples, options.positives)
            proposals = proposals.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
            matched = matched.gather(1, index)
            foreground = matched >= 0
            labels = targets.labels.gather(1, matched.clamp(min=0)).where(foreground, -1) + 1  # 0 is background
            boxes = boxes.gather(1, matched.clamp(min=0).unsqueeze(-1).expand(-1, -1, 4))
        logits, deltas = self.box_head(self._box_head_entry(features, proposals, sampled), entered=True)
        labels, foreground = labels[sampled], foreground[sampled]
        losses["classifier"] = F.cross_entropy(logits.float(), labels)
        deltas = deltas[foreground].float().unflatten(1, (deltas.shape[1] // 4, 4))
        own_class = (labels[foreground] - 1).clamp(max=deltas.shape[1] - 1)  # 0 where the classes share one box
        deltas = deltas[torch.arange(len(deltas), device=deltas.device), own_class]
        offsets = encode(boxes[sampled][foreground], proposals[sampled][foreground], SSD_WEIGHTS)
        box_error = F.smooth_l1_loss(deltas, offsets, beta=SMOOTH_L1_BETA, reduction="sum")
        losses["box_reg"] = box_error / max(len(labels), 1)
        return losses

    def _box_head_entry(self, features: list[Tensor], proposals: Tensor, sampled: Tensor) -> Tensor:
        """The first layers of the box head, ``BoxHead.entry``, for the sampled proposals of all images.

        Regions are by far the largest tensors of a step. If the entry reduces their size, they are not kept for the
        gradient but recomputed, for a few images at a time.
        """

        def enter(features: list[Tensor], proposals: Tensor, sampled: Tensor) -> Tensor:
            regions = self.pooling(features, proposals)
            if not sampled.all():  # padding rows would distort the statistics of batch normalisation
                regions = regions[sampled.flatten()]
            return self.box_head.entry(regions)

        if not self.box_head.entry_size:
            return enter(features, proposals, sampled)
        entered = []
        for first in range(0, len(proposals), IMAGES_AT_A_TIME):
            part = slice(first, first + IMAGES_AT_A_TIME)
            arguments = [feature[part] for feature in features], proposals[part], sampled[part]
            entered.append(checkpoint(enter, *arguments, use_reentrant=False, preserve_rng_state=False))
        return torch.cat(entered)

    def comparable(self, raw: TwoStageOutputs) -> dict[str, Tensor]:
        """The outputs of the first stage; those of the second depend on a ranking."""
        return {"objectness": raw.objectness, "anchor_deltas": raw.anchor_deltas}

    def postprocess(self, raw: TwoStageOutputs, nms: NmsSpec) -> list[ImageDetections]:
        """Decode the boxes of all regions, and suppress them, for each image."""
        images, count = raw.proposals.shape[:2]
        deltas = raw.box_deltas.float().reshape(images, count, -1, 4)
        boxes = decode(deltas, raw.proposals.unsqueeze(2), SSD_WEIGHTS).clamp(0, 1).flatten(1, 2)
        boxes = boxes * self._scale(boxes)
        missing = (raw.proposals[..., 2:] <= raw.proposals[..., :2]).any(-1, keepdim=True)
        scores = self._scores(raw.class_logits.float()).masked_fill(missing, -1.0)
        return select_detections(boxes, scores, nms)

    def _scores(self, class_logits: Tensor) -> Tensor:
        """Scores of the classes, without background and unused logits."""
        return class_logits.softmax(-1)[..., 1 : class_logits.shape[-1] - self.unused_logits]

    def candidates_static(self, raw: TwoStageOutputs, nms: NmsSpec) -> StaticCandidates:
        """Candidates of one image before suppression; see ``Detector.candidates_static``."""
        x1, y1, x2, y2 = raw.proposals[0].split(1, dim=1)
        present = ((x2 - x1) * (y2 - y1) > 0).float()
        scores = self._scores(raw.class_logits[0]) * present
        best, pair, row, labels = best_pairs(scores, nms.top_k)
        if raw.box_deltas.shape[-1] == 4:
            deltas = F.embedding(row, raw.box_deltas[0])
        else:
            deltas = F.embedding(pair, raw.box_deltas.reshape(-1, 4))
        boxes = decode(deltas, F.embedding(row, raw.proposals[0]), SSD_WEIGHTS).clamp(0, 1)
        return StaticCandidates(boxes, labels, best)

    def postprocess_static(self, raw: TwoStageOutputs, nms: NmsSpec) -> StaticDetections:
        """As ``postprocess``, for one image; see ``Detector.postprocess_static``."""
        return suppress_static(self.candidates_static(raw, nms), nms)
