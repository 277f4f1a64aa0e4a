"""The losses of NanoDet-Plus: Generalized Focal Loss (arXiv:2006.04388) with dynamic soft label assignment.

Loss weights and normalisation follow the authors' code (RangiLyu/nanodet, nanodet_plus_head.py and
config/nanodet-plus-m_320.yml).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.detectors.base import Targets
from mobiledet.detectors.distribution_heads import DistributionOutputs
from mobiledet.ops.boxes import paired_giou
from mobiledet.ops.collective import mean_over_processes
from mobiledet.ops.distances import decode_distances, encode_distances, expected_distances
from mobiledet.ops.dynamic_soft_label import Assignment, assign_dynamic_soft_labels

BOX_WEIGHT = 2.0
DISTRIBUTION_WEIGHT = 0.25
LAST_BIN_MARGIN = 0.1  # targets stay below the last bin by this much, so that there is always a bin above them


class DistributionLoss(nn.Module):
    """Quality focal loss for the classes, GIoU loss for the boxes, distribution focal loss for their sides.

    Args:
        bins: number of bins of a distance.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(
        self, raw: DistributionOutputs, guide: DistributionOutputs | None, priors: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        """Scalar losses, to be summed: those of the head and, if there is one, of the auxiliary head.

        Args:
            raw: outputs of the head.
            guide: outputs of the auxiliary head, whose predictions then assign the targets of both.
            priors: A x 3, see ``ops.distances.corner_priors``.
            targets: ground truth of the batch.
        """
        raw = _in_32_bits(raw)
        boxes = self.boxes(raw.distance_logits, priors)
        if guide is None:
            return self._errors(raw, boxes, self._assign(raw, boxes, priors, targets), priors, targets)
        guide = _in_32_bits(guide)
        guide_boxes = self.boxes(guide.distance_logits, priors)
        assignment = self._assign(guide, guide_boxes, priors, targets)
        losses = self._errors(raw, boxes, assignment, priors, targets)
        guide_losses = self._errors(guide, guide_boxes, assignment, priors, targets)
        return losses | {f"guide_{name}": loss for name, loss in guide_losses.items()}

    def boxes(self, distance_logits: Tensor, priors: Tensor) -> Tensor:
        """... x A x (4 * bins) to ... x A x 4 xyxy in pixels, not clipped."""
        return decode_distances(expected_distances(distance_logits, self.bins), priors)

    def _assign(self, raw: DistributionOutputs, boxes: Tensor, priors: Tensor, targets: Targets) -> Assignment:
        return assign_dynamic_soft_labels(
            raw.class_logits.detach(), boxes.detach(), priors[:, :2], targets.boxes_xyxy, targets.labels
        )

    def _errors(
        self, raw: DistributionOutputs, predicted: Tensor, assignment: Assignment, priors: Tensor, targets: Targets
    ) -> dict[str, Tensor]:
        logits = raw.class_logits
        foreground = assignment.matched >= 0
        index = assignment.matched.clamp(min=0)
        if targets.labels.shape[1]:
            labels = targets.labels.gather(1, index)
            boxes = targets.boxes_xyxy.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
            # the target of background is its own prediction, so that quotients stay finite
            boxes = boxes.where(foreground.unsqueeze(-1), predicted.detach())
        else:
            labels, boxes = index, predicted.detach()

        count = mean_over_processes(foreground.sum()).clamp(min=1)
        score = torch.zeros_like(logits).scatter(
            2, labels.clamp(min=0).unsqueeze(-1), (assignment.overlap * foreground).unsqueeze(-1)
        )
        error = F.binary_cross_entropy_with_logits(logits, score, reduction="none")
        class_error = (error * (score - logits.sigmoid()).square()).sum() / count

        # the losses of a box are weighted by its score
        certainty = logits.detach().sigmoid().amax(-1) * foreground
        total = mean_over_processes(certainty.sum()).clamp(min=1)
        box_error = ((1 - paired_giou(predicted, boxes)) * certainty).sum() / total
        distances = encode_distances(boxes, priors).clamp(0, self.bins - 1 - LAST_BIN_MARGIN)
        spread = self._distribution_error(raw.distance_logits, distances).mean(-1)
        return {
            "class": class_error,
            "box": BOX_WEIGHT * box_error,
            "distribution": DISTRIBUTION_WEIGHT * (spread * certainty).sum() / total,
        }

    def _distribution_error(self, logits: Tensor, distances: Tensor) -> Tensor:
        """Cross-entropies, N x A x 4, of N x A x (4 * bins) logits with N x A x 4 distances in cells: the two bins next
        to a distance share its probability by linear interpolation (section 3.2, equation 6)."""
        log_probabilities = logits.unflatten(-1, (4, self.bins)).log_softmax(-1)
        below = distances.long()
        above_share = distances - below
        index = below.unsqueeze(-1)
        lower, upper = (log_probabilities.gather(-1, i).squeeze(-1) for i in (index, index + 1))
        return -(lower * (1 - above_share) + upper * above_share)


def _in_32_bits(raw: DistributionOutputs) -> DistributionOutputs:
    return DistributionOutputs(raw.class_logits.float(), raw.distance_logits.float())
