from typing import Any

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from mobiledet.detectors.base import RawOutputs, Targets
from mobiledet.detectors.losses import FocalLoss, HardNegativeLoss, build_loss
from mobiledet.errors import UserError
from mobiledet.ops.anchors import grid_anchors, ssd_anchor_sizes
from mobiledet.ops.box_coder import SSD_WEIGHTS

CLASSES = 4
SHAPES = [(8, 8), (4, 4), (2, 2)]
COUNTS = (3, 1, 0, 5)
ANCHORS = grid_anchors(ssd_anchor_sizes(3), SHAPES, (64, 64))
LEVEL_SIZES = [rows * columns * 6 for rows, columns in SHAPES]


def batch(seed: int, num_logits: int) -> tuple[RawOutputs, Targets]:
    torch.manual_seed(seed)
    most = max(COUNTS)
    corner = torch.rand(len(COUNTS), most, 2) * 40
    boxes = torch.cat((corner, corner + 4 + torch.rand(len(COUNTS), most, 2) * 20), dim=-1)
    labels = torch.randint(0, CLASSES, (len(COUNTS), most))
    labels[torch.arange(most) >= torch.tensor(COUNTS).unsqueeze(1)] = -1
    raw = RawOutputs(torch.randn(len(COUNTS), len(ANCHORS), num_logits), torch.randn(len(COUNTS), len(ANCHORS), 4))
    return raw, Targets(boxes, labels)


def torchvision_ssd_loss(raw: RawOutputs, targets: Targets) -> dict[str, torch.Tensor]:
    """SSD.compute_loss, called without building an SSD."""

    class Settings:
        box_coder = BoxCoder(weights=SSD_WEIGHTS)
        neg_to_pos_ratio = 3

    listed: list[dict[str, Any]] = []
    matched = []
    for boxes, labels in zip(*targets, strict=True):
        boxes, labels = boxes[labels >= 0], labels[labels >= 0] + 1
        listed.append({"boxes": boxes, "labels": labels})
        nothing = torch.full((len(ANCHORS),), -1)
        matched.append(SSDMatcher(0.5)(box_iou(boxes, ANCHORS)) if len(boxes) else nothing)
    outputs = {"cls_logits": raw.class_logits, "bbox_regression": raw.box_deltas}
    return SSD.compute_loss(Settings(), listed, outputs, [ANCHORS] * len(listed), matched)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_hard_negative_loss_equals_torchvision(seed: int) -> None:
    raw, targets = batch(seed, CLASSES + 1)
    ours = HardNegativeLoss()(raw, ANCHORS, LEVEL_SIZES, targets)
    theirs = torchvision_ssd_loss(raw, targets)
    torch.testing.assert_close(ours["class"], theirs["classification"])
    torch.testing.assert_close(ours["box"], theirs["bbox_regression"])


@pytest.mark.parametrize("loss", [HardNegativeLoss(), FocalLoss()])
def test_padding_does_not_change_the_loss(loss: HardNegativeLoss | FocalLoss) -> None:
    raw, targets = batch(0, loss.num_logits(CLASSES))
    padded = Targets(
        torch.cat((targets.boxes_xyxy, torch.full((4, 2, 4), 7.0)), dim=1),
        torch.cat((targets.labels, torch.full((4, 2), -1)), dim=1),
    )
    expected = loss(raw, ANCHORS, LEVEL_SIZES, targets)
    for name, value in loss(raw, ANCHORS, LEVEL_SIZES, padded).items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("loss", [HardNegativeLoss(), FocalLoss()])
def test_a_batch_without_objects_has_finite_loss_and_gradient(loss: HardNegativeLoss | FocalLoss) -> None:
    raw, targets = batch(0, loss.num_logits(CLASSES))
    raw = RawOutputs(raw.class_logits.requires_grad_(), raw.box_deltas.requires_grad_())
    losses = loss(raw, ANCHORS, LEVEL_SIZES, Targets(targets.boxes_xyxy, torch.full_like(targets.labels, -1)))
    torch.stack(list(losses.values())).sum().backward()
    assert losses["box"] == 0
    assert torch.isfinite(losses["class"])
    assert torch.isfinite(raw.class_logits.grad).all()
    assert torch.isfinite(raw.box_deltas.grad).all()


def test_focal_class_loss_is_torchvisions_on_the_background_and_plain_on_the_foreground() -> None:
    loss = FocalLoss()
    raw, targets = batch(0, CLASSES)
    matched = loss.match(targets, ANCHORS, LEVEL_SIZES)
    foreground = matched >= 0
    labels = targets.labels.gather(1, matched.clamp(min=0))[foreground]
    predicted = BoxCoder(weights=loss.coder_weights).decode_single(
        raw.box_deltas[foreground], ANCHORS.expand(len(COUNTS), -1, -1)[foreground]
    )
    boxes = targets.boxes_xyxy.gather(1, matched.clamp(min=0).unsqueeze(-1).expand(-1, -1, 4))[foreground]
    quality = box_iou(predicted, boxes).diagonal()
    wanted = torch.nn.functional.one_hot(labels, CLASSES) * quality.unsqueeze(1)
    plain = torch.nn.BCEWithLogitsLoss(reduction="sum")(raw.class_logits[foreground], wanted)
    background = raw.class_logits[~foreground]
    focal = sigmoid_focal_loss(background, torch.zeros_like(background), alpha=-1, gamma=loss.gamma, reduction="sum")
    losses = loss(raw, ANCHORS, LEVEL_SIZES, targets)
    torch.testing.assert_close(losses["class"], (plain + focal) / foreground.sum())


def test_focal_box_loss_is_torchvisions_giou_loss_over_the_foreground() -> None:
    loss = FocalLoss()
    raw, targets = batch(1, CLASSES)
    matched = loss.match(targets, ANCHORS, LEVEL_SIZES)
    coder = BoxCoder(weights=loss.coder_weights)
    total = torch.tensor(0.0)
    for image in range(len(COUNTS)):
        rows = (matched[image] >= 0).nonzero().flatten()
        predicted = coder.decode_single(raw.box_deltas[image, rows], ANCHORS[rows])
        total += generalized_box_iou_loss(predicted, targets.boxes_xyxy[image, matched[image, rows]], reduction="sum")
    expected = loss.box_weight * total / (matched >= 0).sum()
    torch.testing.assert_close(loss(raw, ANCHORS, LEVEL_SIZES, targets)["box"], expected)


def test_scores_and_ranks_agree() -> None:
    for loss in (HardNegativeLoss(), FocalLoss()):
        logits = torch.randn(5, loss.num_logits(CLASSES))
        scores = loss.scores(logits)
        assert scores.shape == (5, CLASSES)
        torch.testing.assert_close(loss.scores_of_ranks(loss.ranks(logits)), scores)


def test_unknown_loss_names_the_valid_ones() -> None:
    with pytest.raises(UserError, match="unknown loss 'focus'; did you mean focal"):
        build_loss("focus")
