import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from mobiledet.detectors.proposals import ProposalPostProcess, ProposalRule, select_proposals
from mobiledet.ops.anchors import aspect_ratio_anchor_sizes, grid_anchors

SIZE = (96, 128)
SHAPES = [(12, 16), (6, 8), (3, 4)]
LEVEL_SIZES = [3 * rows * columns for rows, columns in SHAPES]
ANCHORS = grid_anchors(
    aspect_ratio_anchor_sizes([[0.2], [0.4], [0.8]], (0.5, 1.0, 2.0), SIZE), SHAPES, SIZE
) / torch.tensor([128.0, 96.0, 128.0, 96.0])
IMAGES = 3


def outputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(IMAGES, len(ANCHORS)) * 2, torch.randn(IMAGES, len(ANCHORS), 4) * 0.4


def test_dynamic_form_equals_torchvision() -> None:
    logits, deltas = outputs()
    numbers = {"training": 0, "testing": 0}
    for rule in (ProposalRule(60, 40, 0.7, 0.0), ProposalRule(100, 90, 0.3, 0.8)):
        network = RegionProposalNetwork(
            AnchorGenerator(),
            RPNHead(8, 3),
            *(0.7, 0.3, 256, 0.5),
            {**numbers, "testing": rule.candidates},
            {**numbers, "testing": rule.limit},
            rule.iou,
            rule.score,
        ).eval()
        pixels = ANCHORS * torch.tensor([128.0, 96.0, 128.0, 96.0])
        boxes = network.box_coder.decode(deltas.reshape(-1, 4), [pixels] * IMAGES).reshape(IMAGES, -1, 4)
        expected, _ = network.filter_proposals(boxes, logits, [SIZE] * IMAGES, LEVEL_SIZES)
        found = select_proposals(logits, deltas, ANCHORS, LEVEL_SIZES, rule)
        assert found.shape == (IMAGES, rule.limit, 4)
        for ours, theirs in zip(found, expected, strict=True):
            scaled = ours[: len(theirs)] * torch.tensor([128.0, 96.0, 128.0, 96.0])
            torch.testing.assert_close(scaled, theirs, atol=1e-3, rtol=1e-4)
            assert not ours[len(theirs) :].any()
        assert any(len(theirs) == rule.limit for theirs in expected) or rule.score


def test_static_form_equals_dynamic_form() -> None:
    logits, deltas = outputs()
    for rule in (ProposalRule(60, 40, 0.7, 0.0), ProposalRule(100, 90, 0.3, 0.8), ProposalRule(1000, 2000, 0.5, 0.1)):
        expected = select_proposals(logits, deltas, ANCHORS, LEVEL_SIZES, rule)
        for image in range(IMAGES):
            module = ProposalPostProcess(LEVEL_SIZES, rule)
            found = module(logits[image : image + 1], deltas[image : image + 1], ANCHORS)
            torch.testing.assert_close(found[0], expected[image])


def test_scores_that_are_one_to_the_last_digit_are_still_ranked() -> None:
    logits, deltas = outputs()
    rule = ProposalRule(60, 20, 0.7, 0.0)
    expected = select_proposals(logits, deltas, ANCHORS, LEVEL_SIZES, rule)
    torch.testing.assert_close(select_proposals(logits + 50, deltas, ANCHORS, LEVEL_SIZES, rule), expected)
    found = ProposalPostProcess(LEVEL_SIZES, rule)(logits[:1] + 50, deltas[:1], ANCHORS)
    torch.testing.assert_close(found, expected[:1])
