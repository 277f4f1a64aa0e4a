"""Losses of dense detectors. A loss also defines how raw outputs become scores and boxes."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.detectors.base import RawOutputs, Targets
from mobiledet.errors import UserError, unknown_name
from mobiledet.ops.box_coder import SSD_WEIGHTS, decode, encode
from mobiledet.ops.boxes import paired_giou, paired_iou
from mobiledet.ops.collective import mean_over_processes
from mobiledet.ops.matching import match_atss, match_ssd


class DenseLoss(nn.Module):
    """Base of the losses: assigns a box and a class to every anchor of a batch; subclasses define the errors.

    Attributes:
        coder_weights: weights of the box coder, see ``ops.box_coder``.
    """

    coder_weights = SSD_WEIGHTS

    def num_logits(self, num_classes: int) -> int:
        """Number of logits per anchor."""
        raise NotImplementedError

    def scores(self, class_logits: Tensor) -> Tensor:
        """Scores in 0..1: from ... x num_logits to ... x num_classes."""
        raise NotImplementedError

    def ranks(self, class_logits: Tensor) -> Tensor:
        """Values with the same order as the scores that may be cheaper to compute: from ... x num_logits to
        ... x num_classes."""
        return self.scores(class_logits)

    def scores_of_ranks(self, ranks: Tensor) -> Tensor:
        """Convert the result of ``ranks`` to scores."""
        return ranks

    def class_prior_bias(self) -> float:
        """Initial bias of the class logits."""
        return 0.0

    def match(self, targets: Targets, anchors_xyxy: Tensor, level_sizes: Sequence[int]) -> Tensor:
        """Indices of the boxes that are assigned to the anchors, N x A; negative for background."""
        raise NotImplementedError

    def errors(
        self, raw: RawOutputs, anchors_xyxy: Tensor, boxes_xyxy: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sums over the batch of the class errors and the box errors.

        Args:
            raw: N x A x L logits and N x A x 4 deltas.
            anchors_xyxy: A x 4 pixels.
            boxes_xyxy: N x A x 4, the box of each anchor; the anchor itself for background.
            labels: N x A, the class of each anchor; -1 for background.
        """
        raise NotImplementedError

    def forward(
        self, raw: RawOutputs, anchors_xyxy: Tensor, level_sizes: Sequence[int], targets: Targets
    ) -> dict[str, Tensor]:
        """Scalar losses, to be summed: the errors of the batch, divided by the mean number of foreground anchors over
        all processes that train together.

        Args:
            raw: outputs for the batch.
            anchors_xyxy: A x 4 pixels.
            level_sizes: number of anchors of each level.
            targets: ground truth of the batch.
        """
        matched = self.match(targets, anchors_xyxy, level_sizes)
        foreground = matched >= 0
        index = matched.clamp(min=0)
        boxes = targets.boxes_xyxy.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
        # the box of background is its anchor, so that logarithms and quotients stay finite
        boxes = boxes.where(foreground.unsqueeze(-1), anchors_xyxy)
        labels = targets.labels.gather(1, index).where(foreground, -1)
        raw = RawOutputs(raw.class_logits.float(), raw.box_deltas.float())
        class_error, box_error = self.errors(raw, anchors_xyxy, boxes, labels)
        count = mean_over_processes(foreground.sum()).clamp(min=1)
        return {"class": class_error / count, "box": box_error / count}


class HardNegativeLoss(DenseLoss):
    """SSD's loss (arXiv:1512.02325, section 2.2): softmax cross-entropy with background as class 0, hard negative
    mining with three negatives per positive of an image, smooth L1 loss for the encoded boxes.

    Args:
        unused_logits: number of logits after those of the classes that belong to no class, as in published weights for
            COCO, which have logits for the ten ids that COCO does not use. They are part of the softmax.
    """

    negatives_per_positive = 3

    def __init__(self, unused_logits: int = 0) -> None:
        super().__init__()
        self.unused_logits = unused_logits

    def num_logits(self, num_classes: int) -> int:
        """One for each class, one for background, and the unused ones."""
        return 1 + num_classes + self.unused_logits

    def of_classes(self, scores: Tensor) -> Tensor:
        """The columns of the classes, without background and unused logits."""
        return scores[..., 1 : scores.shape[-1] - self.unused_logits]

    def scores(self, class_logits: Tensor) -> Tensor:
        """Softmax over all logits; the scores of the classes."""
        return self.of_classes(class_logits.softmax(-1))

    def classification_errors(self, class_logits: Tensor, labels: Tensor) -> Tensor:
        """Classification error of each anchor, N x A, from N x A x L logits and N x A labels, -1 for background."""
        error = F.cross_entropy(class_logits.flatten(0, 1), (labels + 1).flatten(), reduction="none")
        return error.view_as(labels)

    def match(self, targets: Targets, anchors_xyxy: Tensor, level_sizes: Sequence[int]) -> Tensor:
        """SSD's matching by IoU; see ``match_ssd``."""
        return match_ssd(targets.boxes_xyxy, targets.labels >= 0, anchors_xyxy)

    def errors(
        self, raw: RawOutputs, anchors_xyxy: Tensor, boxes_xyxy: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of foreground and hardest negatives, and smooth L1 errors; see ``DenseLoss.errors``."""
        foreground = labels >= 0
        error = self.classification_errors(raw.class_logits, labels)
        hardness = error.detach().masked_fill(foreground, -torch.inf)
        rank = hardness.argsort(1, descending=True).argsort(1)
        negative = rank < self.negatives_per_positive * foreground.sum(1, keepdim=True)
        class_error = (error * (foreground | negative)).sum()
        offsets = encode(boxes_xyxy, anchors_xyxy, self.coder_weights)
        box_error = F.smooth_l1_loss(raw.box_deltas, offsets, reduction="none").sum(-1)
        return class_error, (box_error * foreground).sum()


class SigmoidHardNegativeLoss(HardNegativeLoss):
    """Like ``HardNegativeLoss`` with a sigmoid for each logit, including background, as in TensorFlow's detection
    zoo."""

    def scores(self, class_logits: Tensor) -> Tensor:
        """Sigmoid of the logits of the classes."""
        return self.of_classes(class_logits).sigmoid()

    def ranks(self, class_logits: Tensor) -> Tensor:
        """The logits of the classes."""
        return self.of_classes(class_logits)

    def scores_of_ranks(self, ranks: Tensor) -> Tensor:
        """Sigmoid of the logits."""
        return ranks.sigmoid()

    def classification_errors(self, class_logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy of all logits, summed for each anchor."""
        wanted = F.one_hot(labels + 1, class_logits.shape[-1]).to(class_logits.dtype)
        return F.binary_cross_entropy_with_logits(class_logits, wanted, reduction="none").sum(-1)


class FocalLoss(DenseLoss):
    """Focal loss for sigmoid scores, GIoU loss for the boxes (arXiv:1902.09630), anchors matched by ATSS
    (arXiv:1912.02424).

    The target score of a foreground anchor is the IoU of its predicted box with its ground-truth box (as in the quality
    focal loss, arXiv:2006.04388, section 3.1), so that scores also rank boxes by their accuracy. The error of a
    background anchor is weighted by score^gamma (focal loss, arXiv:1708.02002, section 3.2), which reduces the
    influence of the many easy ones. Unlike in both papers, the errors of a foreground anchor keep their full weight for
    all classes, because the focal weight would slow down learning to distinguish the classes.
    """

    coder_weights = (1.0, 1.0, 1.0, 1.0)
    gamma = 2.0
    prior = 0.01
    box_weight = 2.0

    def num_logits(self, num_classes: int) -> int:
        """One for each class."""
        return num_classes

    def scores(self, class_logits: Tensor) -> Tensor:
        """Sigmoid of the logits."""
        return class_logits.sigmoid()

    def ranks(self, class_logits: Tensor) -> Tensor:
        """The logits."""
        return class_logits

    def scores_of_ranks(self, ranks: Tensor) -> Tensor:
        """Sigmoid of the logits."""
        return ranks.sigmoid()

    def class_prior_bias(self) -> float:
        """The logit of ``prior``, so that initial scores are low."""
        return -math.log(1 / self.prior - 1)

    def match(self, targets: Targets, anchors_xyxy: Tensor, level_sizes: Sequence[int]) -> Tensor:
        """Matching by ATSS; see ``match_atss``."""
        return match_atss(targets.boxes_xyxy, targets.labels >= 0, anchors_xyxy, level_sizes)

    def errors(
        self, raw: RawOutputs, anchors_xyxy: Tensor, boxes_xyxy: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Focal errors of all anchors, and GIoU errors of the foreground; see ``DenseLoss.errors``."""
        foreground = labels >= 0
        logits = raw.class_logits
        predicted = decode(raw.box_deltas, anchors_xyxy, self.coder_weights)
        quality = paired_iou(predicted.detach(), boxes_xyxy)
        wanted = F.one_hot(labels + 1, logits.shape[-1] + 1)[..., 1:] * quality.unsqueeze(-1)
        weight = logits.detach().sigmoid().pow(self.gamma).masked_fill(foreground.unsqueeze(-1), 1.0)
        class_error = (weight * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")).sum()
        box_error = (1 - paired_giou(predicted, boxes_xyxy)) * foreground
        return class_error, self.box_weight * box_error.sum()


LOSSES: dict[str, type[DenseLoss]] = {
    "hard_negative": HardNegativeLoss,
    "sigmoid_hard_negative": SigmoidHardNegativeLoss,
    "focal": FocalLoss,
}


def build_loss(key: str, unused_logits: int = 0) -> DenseLoss:
    """Build a loss.

    Args:
        key: a key of ``LOSSES``.
        unused_logits: see ``HardNegativeLoss``; must be 0 for other losses.

    Raises:
        UserError: the loss is unknown, or does not support unused logits.
    """
    if key not in LOSSES:
        raise unknown_name("loss", key, LOSSES)
    kind = LOSSES[key]
    if issubclass(kind, HardNegativeLoss):
        return kind(unused_logits)
    if unused_logits:
        raise UserError(f"detector option unused_logits: the loss {key} does not support it")
    return kind()
