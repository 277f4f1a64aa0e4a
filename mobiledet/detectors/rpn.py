"""The region proposal network of Faster R-CNN (arXiv:1506.01497, section 3.1): its full head and its loss.

Its depthwise separable head is ``heads.PyramidHead`` with one logit per anchor.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers

from mobiledet.detectors.base import RawOutputs
from mobiledet.detectors.proposals import ANCHOR_WEIGHTS
from mobiledet.ops.box_coder import encode
from mobiledet.ops.matching import match_two_thresholds
from mobiledet.ops.sampling import sample_balanced

SMOOTH_L1_BETA = 1 / 9  # as in Detectron and torchvision


class FullHead(nn.Module):
    """The paper's head, from torchvision: a full 3x3 convolution shared by all levels.

    Args:
        channels: channels of every level.
        anchors_per_cell: number of anchors per cell, the same on every level.
    """

    def __init__(self, channels: int, anchors_per_cell: int) -> None:
        super().__init__()
        self.layers = RPNHead(channels, anchors_per_cell)

    def forward(self, features: Sequence[Tensor]) -> RawOutputs:
        """Maps of the levels to N x A x 1 logits and N x A x 4 offsets."""
        logits, deltas = concat_box_prediction_layers(*self.layers(list(features)))
        images = features[0].shape[0]
        return RawOutputs(logits.reshape(images, -1, 1), deltas.reshape(images, -1, 4))


class ProposalLoss(nn.Module):
    """Binary cross-entropy for the objectness of sampled anchors, smooth L1 loss for the boxes of foreground anchors.

    Args:
        background_iou, foreground_iou: see ``match_two_thresholds``.
        samples: number of sampled anchors per image.
        positive_fraction: largest fraction of foreground among them.
    """

    def __init__(self, background_iou: float, foreground_iou: float, samples: int, positive_fraction: float) -> None:
        super().__init__()
        self.background_iou = background_iou
        self.foreground_iou = foreground_iou
        self.samples = samples
        self.positive_fraction = positive_fraction

    def forward(self, raw: RawOutputs, anchors_xyxy: Tensor, boxes_xyxy: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """Scalar losses.

        Args:
            raw: N x A x 1 logits, N x A x 4 offsets.
            anchors_xyxy: A x 4.
            boxes_xyxy: N x M x 4 in the unit of the anchors, padded.
            valid: N x M, False for padding.
        """
        matched = match_two_thresholds(
            boxes_xyxy, valid, anchors_xyxy, self.background_iou, self.foreground_iou, claim_best=True
        )
        index, sampled = sample_balanced(matched, self.samples, self.positive_fraction)
        matched = matched.gather(1, index)
        foreground = (matched >= 0) & sampled
        logits = raw.class_logits.squeeze(-1).float().gather(1, index)
        error = F.binary_cross_entropy_with_logits(logits, foreground.float(), reduction="none")
        count = sampled.sum().clamp(min=1)
        image = foreground.nonzero()[:, 0]
        chosen = index[foreground]
        deltas = raw.box_deltas[image, chosen].float()
        offsets = encode(boxes_xyxy[image, matched[foreground]], anchors_xyxy[chosen], ANCHOR_WEIGHTS)
        box_error = F.smooth_l1_loss(deltas, offsets, beta=SMOOTH_L1_BETA, reduction="sum")
        return {"rpn_objectness": (error * sampled).sum() / count, "rpn_box": box_error / count}
