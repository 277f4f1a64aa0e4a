"""Faster R-CNN against torchvision's own, with the same weights."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.models.detection.image_list import ImageList

from mobiledet.backbones import Backbone, FeatureInfo
from mobiledet.detectors import Targets, build_detector
from mobiledet.detectors.two_stage import TwoStageDetector
from mobiledet.spec import NmsSpec
from mobiledet.zoo.catalogue import FASTER_RCNN_320

CLASSES = 6
SIDE = 320
SAMPLES = 64  # proposals of an image that the second stage learns from; torchvision's 512 take long
IMAGES = 2
SIZES = [(SIDE, SIDE)] * IMAGES


class SameBody(Backbone):
    """The two maps that torchvision's pyramid takes, both of stride 32."""

    feature_info = (FeatureInfo("features.13", 160, 32), FeatureInfo("features.16", 960, 32))

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = copy.deepcopy(body)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.body(images).values())


def images() -> Tensor:
    return torch.randn(IMAGES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def theirs() -> FasterRCNN:
    torch.manual_seed(0)
    model = fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=CLASSES + 1, box_score_thresh=0.02, box_nms_thresh=0.5
    )
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the statistics become those of the pass below, which keep the signal alive
        model.backbone(images())
        head, predictor = model.rpn.head, model.roi_heads.box_predictor
        for layer, gain in (
            (head.cls_logits, 20.0),
            (head.bbox_pred, 10.0),
            (predictor.cls_score, 30.0),
            (predictor.bbox_pred, 10.0),
        ):
            layer.weight *= gain
    return model.eval()


@pytest.fixture(scope="module")
def ours(theirs: FasterRCNN) -> TwoStageDetector:
    anchors = [
        [((x2 - x1) / SIDE, (y2 - y1) / SIDE) for x1, y1, x2, y2 in level.tolist()]
        for level in theirs.rpn.anchor_generator.cell_anchors
    ]
    detector = build_detector(
        "faster_rcnn_fpn",
        SameBody(theirs.backbone.body),
        CLASSES,
        (SIDE, SIDE),
        FASTER_RCNN_320.changed(anchors=anchors, samples=SAMPLES, anchor_sides=()),
    )
    assert isinstance(detector, TwoStageDetector)
    detector.neck.layers.load_state_dict(theirs.backbone.fpn.state_dict())
    detector.rpn.layers.load_state_dict(theirs.rpn.head.state_dict())
    head, predictor = theirs.roi_heads.box_head, theirs.roi_heads.box_predictor
    linear = [layer for layer in detector.box_head.layers if isinstance(layer, nn.Linear)]
    for mine, other in zip(linear, (head.fc6, head.fc7), strict=True):
        mine.load_state_dict(other.state_dict())
    with torch.no_grad():  # ours flattens channels last
        linear[0].weight.copy_(head.fc6.weight.unflatten(1, (256, 7, 7)).permute(0, 2, 3, 1).flatten(1))
    detector.box_head.classes.load_state_dict(predictor.cls_score.state_dict())
    with torch.no_grad():  # theirs gives the background a box too
        detector.box_head.boxes.weight.copy_(predictor.bbox_pred.weight[4:])
        detector.box_head.boxes.bias.copy_(predictor.bbox_pred.bias[4:])
    return detector.eval()


def test_same_detections(theirs: FasterRCNN, ours: TwoStageDetector) -> None:
    pictures = images()
    with torch.inference_mode():
        features = theirs.backbone(pictures)
        proposals, _ = theirs.rpn(ImageList(pictures, SIZES), features)
        expected, _ = theirs.roi_heads(features, proposals, SIZES)
        found = ours.postprocess(ours(pictures), NmsSpec(iou=0.5, score=0.02, top_k=150 * CLASSES))
    for wanted, given in zip(expected, found, strict=True):
        assert len(wanted["scores"]) == len(given.scores) == 100
        torch.testing.assert_close(given.scores, wanted["scores"], atol=1e-4, rtol=0)
        assert torch.equal(given.labels + 1, wanted["labels"])
        torch.testing.assert_close(given.boxes_xyxy, wanted["boxes"], atol=0.05, rtol=0)
        assert wanted["scores"].max() > 2 * wanted["scores"].min()


class FirstOnes:
    """Torchvision's balanced sampler, but for chance: it takes the first candidates."""

    def __init__(self, size: int, positive_fraction: float) -> None:
        self.size = size
        self.most_positive = int(size * positive_fraction)

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        chosen: tuple[list[Tensor], list[Tensor]] = ([], [])
        for image in labels:
            positive = torch.where(image >= 1)[0][: self.most_positive]
            negative = torch.where(image == 0)[0][: self.size - len(positive)]
            for masks, index in zip(chosen, (positive, negative), strict=True):
                masks.append(torch.zeros_like(image, dtype=torch.uint8).index_fill(0, index, 1))
        return chosen


@pytest.fixture
def first_ones(theirs: FasterRCNN, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both sides sample the first candidates instead of random ones."""
    monkeypatch.setattr(theirs.rpn, "fg_bg_sampler", FirstOnes(256, 0.5))
    monkeypatch.setattr(theirs.roi_heads, "fg_bg_sampler", FirstOnes(SAMPLES, 0.25))
    falling = lambda shape, device: torch.linspace(0.9, 0.1, shape[1], dtype=torch.float64).expand(shape)  # noqa: E731
    monkeypatch.setattr(torch, "rand", falling)
    theirs.train()
    yield
    theirs.eval()


@pytest.mark.usefixtures("first_ones")
def test_same_losses_for_the_same_samples(theirs: FasterRCNN, ours: TwoStageDetector) -> None:
    pictures = images()
    boxes = torch.tensor(
        [
            [[10.0, 20, 120, 200], [150, 30, 310, 290], [30, 220, 70, 260]],
            [[5.0, 5, 315, 315], [0, 0, 0, 0], [0, 0, 0, 0]],
        ]
    )
    labels = torch.tensor([[0, 5, 3], [2, -1, -1]])
    listed = [{"boxes": b[c >= 0], "labels": c[c >= 0] + 1} for b, c in zip(boxes, labels, strict=True)]
    features = theirs.backbone(pictures)
    proposals, first = theirs.rpn(ImageList(pictures, SIZES), features, listed)
    _, second = theirs.roi_heads(features, proposals, SIZES, listed)
    found = ours.train()(pictures, Targets(boxes, labels))
    ours.eval()
    expected = {
        "rpn_objectness": first["loss_objectness"],
        "rpn_box": first["loss_rpn_box_reg"],
        "classifier": second["loss_classifier"],
        "box_reg": second["loss_box_reg"],
    }
    assert list(found) == list(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss, atol=1e-5, rtol=1e-4)
        assert loss > 0
