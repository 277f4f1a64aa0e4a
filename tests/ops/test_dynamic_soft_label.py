"""The assignment against a loop over images, boxes and priors."""

import math

import pytest
import torch
from torchvision.ops import box_iou

from mobiledet.ops.dynamic_soft_label import assign_dynamic_soft_labels

CLASSES = 5


def assign_one_by_one(
    logits: torch.Tensor, predicted: torch.Tensor, points: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor
) -> tuple[list[int], list[float]]:
    """One image, without padding."""
    priors, wanted = range(len(points)), range(len(boxes))
    matched, overlaps = [-1] * len(points), [0.0] * len(points)
    inside = [any(b[0] < x < b[2] and b[1] < y < b[3] for b in boxes.tolist()) for x, y in points.tolist()]
    iou = box_iou(boxes, predicted).tolist()
    cost: list[dict[int, float]] = []
    for m in wanted:
        row = {}
        for a in priors:
            if not inside[a]:
                continue
            total = 0.0
            for c in range(CLASSES):
                score = 1 / (1 + math.exp(-logits[a, c].item()))
                target = iou[m][a] if c == labels[m] else 0.0
                entropy = -(target * math.log(score) + (1 - target) * math.log(1 - score))
                total += entropy * abs(target - score) ** 2
            row[a] = total - 3 * math.log(iou[m][a] + 1e-7)
        cost.append(row)
    takers: dict[int, list[int]] = {}
    for m in wanted:
        best = sorted((iou[m][a] for a in cost[m]), reverse=True)[:13]
        for a in sorted(cost[m], key=cost[m].__getitem__)[: max(1, int(sum(best)))]:
            takers.setdefault(a, []).append(m)
    for a, who in takers.items():
        matched[a] = who[0] if len(who) == 1 else min(wanted, key=lambda m: cost[m][a])
        overlaps[a] = iou[matched[a]][a]
    return matched, overlaps


@pytest.mark.parametrize("seed", range(4))
def test_assignment_is_that_of_the_loop(seed: int) -> None:
    torch.manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(0, 64, 8.0), torch.arange(0, 96, 8.0), indexing="ij")
    points = torch.stack((x.flatten(), y.flatten()), 1)
    counts = [4, 0, 12, 1]
    labels = torch.full((len(counts), max(counts)), -1)
    boxes = torch.rand(len(counts), max(counts), 4) * 64  # padding rows are arbitrary
    for image, count in enumerate(counts):
        corner = torch.rand(count, 2) * torch.tensor([70.0, 40.0])
        boxes[image, :count] = torch.cat((corner, corner + 6 + torch.rand(count, 2) * 40), 1)
        labels[image, :count] = torch.randint(CLASSES, (count,))
    logits = torch.randn(len(counts), len(points), CLASSES) * 2
    sides = torch.rand(len(counts), len(points), 4) * 24
    predicted = torch.cat((points - sides[..., :2], points + sides[..., 2:]), -1)
    found = assign_dynamic_soft_labels(logits, predicted, points, boxes, labels)
    for image, count in enumerate(counts):
        matched, overlaps = assign_one_by_one(
            logits[image], predicted[image], points, boxes[image, :count], labels[image, :count]
        )
        assert found.matched[image].tolist() == matched
        torch.testing.assert_close(found.overlap[image], torch.tensor(overlaps))
    assert (found.matched[2] >= 0).sum() >= 12
    assert (found.matched[1] < 0).all()


def test_box_between_the_points_gets_nothing_where_no_other_box_has_a_point() -> None:
    points = torch.tensor([[0.0, 0.0], [8.0, 0.0]])
    boxes = torch.tensor([[[2.0, 2.0, 6.0, 6.0]]])
    predicted = torch.tensor([[[0.0, 0.0, 7.0, 7.0], [1.0, 1.0, 7.0, 7.0]]])
    found = assign_dynamic_soft_labels(torch.zeros(1, 2, 3), predicted, points, boxes, torch.tensor([[1]]))
    assert found.matched.tolist() == [[-1, -1]]
    assert found.overlap.tolist() == [[0, 0]]


def test_batch_without_any_row_of_boxes() -> None:
    points = torch.zeros(6, 2)
    found = assign_dynamic_soft_labels(
        torch.zeros(2, 6, 3), torch.zeros(2, 6, 4), points, torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.int64)
    )
    assert (found.matched == -1).all()
    assert found.matched.shape == found.overlap.shape == (2, 6)
