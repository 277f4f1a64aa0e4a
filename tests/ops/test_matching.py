import pytest
import torch
from torchvision.models.detection._utils import Matcher, SSDMatcher
from torchvision.ops import box_iou

from mobiledet.ops.anchors import grid_anchors, square_anchor_sizes, ssd_anchor_sizes
from mobiledet.ops.matching import BACKGROUND, match_atss, match_ssd, match_two_thresholds

SHAPES = [(8, 8), (4, 4), (2, 2)]
COUNTS = (3, 1, 0, 5)  # boxes of each image


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    corner = torch.rand(len(COUNTS), max(COUNTS), 2) * 40
    boxes = torch.cat((corner, corner + 4 + torch.rand(len(COUNTS), max(COUNTS), 2) * 40), dim=-1)
    valid = torch.arange(max(COUNTS)) < torch.tensor(COUNTS).unsqueeze(1)
    return boxes, valid


@pytest.mark.parametrize("seed", range(5))
def test_ssd_matching_equals_torchvision(seed: int) -> None:
    anchors = grid_anchors(ssd_anchor_sizes(3), SHAPES, (64, 64))
    boxes, valid = batch(seed)
    matched = match_ssd(boxes, valid, anchors)
    for image, count in enumerate(COUNTS):
        if count == 0:
            assert (matched[image] == BACKGROUND).all()
            continue
        expected = SSDMatcher(0.5)(box_iou(boxes[image, :count], anchors))
        assert torch.equal(matched[image], expected.clamp(min=BACKGROUND))


def atss_of_one_image(boxes: torch.Tensor, anchors: torch.Tensor, level_sizes: list[int], k: int) -> torch.Tensor:
    """Algorithm 1 of the paper, box by box and level by level."""
    best = torch.zeros(len(anchors))
    matched = torch.full((len(anchors),), BACKGROUND)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    for number, box in enumerate(boxes):
        iou = box_iou(box[None], anchors)[0]
        candidates: list[int] = []
        start = 0
        for size in level_sizes:
            distance = (centres[start : start + size] - (box[:2] + box[2:]) / 2).norm(dim=1)
            candidates += (distance.argsort(stable=True)[:k] + start).tolist()
            start += size
        overlaps = iou[candidates]
        threshold = overlaps.mean() + overlaps.std()
        chosen = [
            c
            for c in candidates
            if iou[c] >= threshold and (centres[c] > box[:2]).all() and (centres[c] < box[2:]).all()
        ]
        for c in chosen or [candidates[int(overlaps.argmax())]]:
            if iou[c] > best[c] or matched[c] == BACKGROUND:
                best[c], matched[c] = iou[c], number
    return matched


@pytest.mark.parametrize("seed", range(5))
def test_atss_equals_the_papers_algorithm(seed: int) -> None:
    anchors = grid_anchors(square_anchor_sizes(3, 8, (64, 64)), SHAPES, (64, 64))
    level_sizes = [rows * columns for rows, columns in SHAPES]
    boxes, valid = batch(seed)
    matched = match_atss(boxes, valid, anchors, level_sizes, candidates=5)
    for image, count in enumerate(COUNTS):
        expected = atss_of_one_image(boxes[image, :count], anchors, level_sizes, 5)
        assert torch.equal(matched[image], expected)
        assert set(range(count)) <= set(matched[image].tolist()), "every box has an anchor"


@pytest.mark.parametrize("claim_best", [False, True])
@pytest.mark.parametrize("thresholds", [(0.3, 0.7), (0.5, 0.5)])
def test_two_thresholds_equal_torchvision(thresholds: tuple[float, float], claim_best: bool) -> None:
    torch.manual_seed(0)
    counts = (4, 1, 7)
    corner = torch.randint(0, 40, (3, 7, 2)).float()  # whole pixels, so that overlaps tie
    boxes = torch.cat((corner, corner + torch.randint(4, 24, (3, 7, 2))), dim=-1)
    valid = torch.arange(7) < torch.tensor(counts).unsqueeze(1)
    corner = torch.randint(0, 48, (3, 200, 2)).float()
    candidates = torch.cat((corner, corner + torch.randint(4, 24, (3, 200, 2))), dim=-1)
    background_iou, foreground_iou = thresholds
    found = match_two_thresholds(boxes, valid, candidates, background_iou, foreground_iou, claim_best)
    matcher = Matcher(foreground_iou, background_iou, allow_low_quality_matches=claim_best)
    for image, count in enumerate(counts):
        assert torch.equal(found[image], matcher(box_iou(boxes[image, :count], candidates[image])))
