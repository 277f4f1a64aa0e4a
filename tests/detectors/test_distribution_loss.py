"""The losses against sums over single priors."""

import math

import pytest
import torch
from torchvision.ops import generalized_box_iou

from mobiledet.detectors import Targets
from mobiledet.detectors.distribution_heads import DistributionOutputs
from mobiledet.detectors.distribution_loss import DistributionLoss
from mobiledet.ops.distances import corner_priors
from mobiledet.ops.dynamic_soft_label import assign_dynamic_soft_labels

BINS, CLASSES = 8, 3
PRIORS = corner_priors([(6, 8), (3, 4)], [8, 16])


def batch(counts: list[int]) -> tuple[DistributionOutputs, Targets]:
    torch.manual_seed(1)
    raw = DistributionOutputs(
        torch.randn(len(counts), len(PRIORS), CLASSES), torch.randn(len(counts), len(PRIORS), 4 * BINS) * 2
    )
    corner = torch.rand(len(counts), 5, 2) * 20
    boxes = torch.cat((corner, corner + 8 + torch.rand(len(counts), 5, 2) * 20), -1)
    labels = torch.randint(CLASSES, (len(counts), 5))
    for image, count in enumerate(counts):
        labels[image, count:] = -1
    return raw, Targets(boxes, labels)


def losses_one_by_one(
    raw: DistributionOutputs, assignment: tuple[torch.Tensor, torch.Tensor], targets: Targets
) -> dict[str, float]:
    matched, overlap = assignment
    quality = box = distribution = certainties = 0.0
    positives = 0
    for n in range(len(matched)):
        for a, (x, y, stride) in enumerate(PRIORS.tolist()):
            scores = raw.class_logits[n, a].sigmoid().tolist()
            m = int(matched[n, a])
            for c, score in enumerate(scores):
                wanted = float(overlap[n, a]) if m >= 0 and c == targets.labels[n, m] else 0.0
                entropy = -(wanted * math.log(score) + (1 - wanted) * math.log(1 - score))
                quality += entropy * (wanted - score) ** 2
            if m < 0:
                continue
            positives += 1
            certainty = max(scores)
            certainties += certainty
            shares = raw.distance_logits[n, a].view(4, BINS).softmax(1)
            left, top, right, bottom = ((shares * torch.arange(BINS)).sum(1) * stride).tolist()
            predicted = torch.tensor([[x - left, y - top, x + right, y + bottom]])
            truth = targets.boxes_xyxy[n, m]
            box += certainty * (1 - generalized_box_iou(predicted, truth[None]).item())
            x1, y1, x2, y2 = truth.tolist()
            for side, distance in enumerate((x - x1, y - y1, x2 - x, y2 - y)):
                wanted = min(max(distance / stride, 0), BINS - 1 - 0.1)
                below = int(wanted)
                for bin, share in ((below, below + 1 - wanted), (below + 1, wanted - below)):
                    distribution -= certainty * share * math.log(shares[side, bin]) / 4
    total = max(certainties, 1)
    return {
        "class": quality / max(positives, 1),
        "box": 2 * box / total,
        "distribution": 0.25 * distribution / total,
    }


@pytest.mark.parametrize("counts", [[3, 0, 5], [0, 0, 0]])
def test_losses_are_those_of_the_loop(counts: list[int]) -> None:
    raw, targets = batch(counts)
    loss = DistributionLoss(BINS)
    found = loss(raw, None, PRIORS, targets)
    boxes = loss.boxes(raw.distance_logits, PRIORS)
    assignment = assign_dynamic_soft_labels(raw.class_logits, boxes, PRIORS[:, :2], *targets)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        losses_one_by_one(raw, assignment, targets), rel=1e-4
    )
    assert (found["box"] > 0) == (sum(counts) > 0)


def test_both_learn_what_the_guide_chooses() -> None:
    raw, targets = batch([4, 2])
    guide = DistributionOutputs(raw.class_logits.flip(1), raw.distance_logits.flip(1))
    loss = DistributionLoss(BINS)
    found = loss(raw, guide, PRIORS, targets)
    boxes = loss.boxes(guide.distance_logits, PRIORS)
    assignment = assign_dynamic_soft_labels(guide.class_logits, boxes, PRIORS[:, :2], *targets)
    wanted = losses_one_by_one(raw, assignment, targets)
    wanted |= {f"guide_{name}": value for name, value in losses_one_by_one(guide, assignment, targets).items()}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(wanted, rel=1e-4)


def test_gradients_are_finite_without_any_box() -> None:
    raw, targets = batch([0, 0])
    raw = DistributionOutputs(*(values.requires_grad_() for values in raw))
    empty = Targets(targets.boxes_xyxy[:, :0], targets.labels[:, :0])
    torch.stack(list(DistributionLoss(BINS)(raw, None, PRIORS, empty).values())).sum().backward()
    assert raw.class_logits.grad is not None
    assert raw.class_logits.grad.isfinite().all()
    assert raw.distance_logits.grad is not None
    assert (raw.distance_logits.grad == 0).all()
