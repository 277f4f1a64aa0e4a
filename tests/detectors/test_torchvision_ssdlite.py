"""SSDLite against torchvision's ssdlite320_mobilenet_v3_large with the same weights, and against the papers' counts."""

from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.ssd import SSD

from mobiledet.backbones import build_backbone
from mobiledet.complexity import count_macs, count_parameters
from mobiledet.detectors import Targets, build_detector
from mobiledet.detectors.dense import DenseDetector
from mobiledet.ops.anchors import ssd_anchor_sizes
from mobiledet.options import SsdLiteOptions
from mobiledet.spec import NmsSpec

SIDE = 320
CLASSES = 90
norm_layer = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def twins(pictures: torch.Tensor) -> tuple[DenseDetector, SSD]:
    torch.manual_seed(0)
    theirs = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    backbone = build_backbone("torchvision:mobilenet_v3_large-reduced_tail", norm_layer=norm_layer)
    ours = build_detector("ssdlite", backbone, CLASSES, (SIDE, SIDE))
    assert isinstance(ours, DenseDetector)
    _spread(theirs, pictures)
    values = list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
    return ours.eval(), theirs.eval()


def _spread(network: SSD, pictures: torch.Tensor) -> None:
    """Give a random network outputs of some spread: statistics of these pictures, larger last weights."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.inference_mode():
        network.head(list(network.backbone((pictures - 0.5) / 0.5).values()))
    for norm in norms:
        norm.momentum = 0.03
    for layers in (*network.head.classification_head.module_list, *network.head.regression_head.module_list):
        layers[1].weight.data.mul_(3)


def test_detections_are_torchvisions(twins: tuple[DenseDetector, SSD], pictures: torch.Tensor) -> None:
    ours, theirs = twins
    anchors = len(ours.anchors_xyxy)
    # torchvision takes the 300 best boxes of each class; all pairs contain them
    nms = NmsSpec(iou=theirs.nms_thresh, score=theirs.score_thresh, top_k=anchors * CLASSES, max_detections=300)
    with torch.inference_mode():
        found = ours.postprocess(ours((pictures - 0.5) / 0.5), nms)
        expected = theirs(list(pictures))
    for mine, other in zip(found, expected, strict=True):
        assert len(mine.scores) == len(other["scores"]) > 0
        torch.testing.assert_close(mine.scores, other["scores"], rtol=0, atol=1e-5)
        torch.testing.assert_close(mine.boxes_xyxy, other["boxes"], rtol=0, atol=1e-2)
        assert torch.equal(mine.labels + 1, other["labels"])


def test_losses_and_gradients_are_torchvisions(twins: tuple[DenseDetector, SSD], pictures: torch.Tensor) -> None:
    ours, theirs = twins
    boxes = torch.tensor([[[20.0, 30, 120, 200], [100, 100, 300, 310]], [[5, 5, 60, 50], [0, 0, 0, 0]]])
    labels = torch.tensor([[3, 17], [89, -1]])
    listed = [{"boxes": b[c >= 0], "labels": c[c >= 0] + 1} for b, c in zip(boxes, labels, strict=True)]
    theirs.training = True  # the losses, with the normalisation still in evaluation mode
    try:
        expected = theirs(list(pictures), listed)
    finally:
        theirs.training = False
    losses = ours((pictures - 0.5) / 0.5, Targets(boxes, labels))
    torch.testing.assert_close(losses["class"], expected["classification"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses["box"], expected["bbox_regression"], rtol=1e-4, atol=1e-5)
    sum(losses.values()).backward()
    sum(expected.values()).backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_counts_are_those_that_torchvision_publishes() -> None:
    backbone = build_backbone("torchvision:mobilenet_v3_large-reduced_tail")
    detector = build_detector("ssdlite", backbone, CLASSES, (SIDE, SIDE))
    assert count_parameters(detector) == 3_440_060
    assert count_macs(detector, SIDE, SIDE) / 1e9 == pytest.approx(0.583, rel=0.001)


# MobileNetV2, arXiv:1801.04381, table 6: parameters M, multiply-adds B
@pytest.mark.parametrize(("key", "parameters", "macs"), [("mobilenet_v1_1x", 5.1, 1.3), ("mobilenet_v2_1x", 4.3, 0.8)])
def test_counts_are_those_of_the_mobilenets(key: str, parameters: float, macs: float) -> None:
    first, *others = ssd_anchor_sizes(6)
    options = SsdLiteOptions().changed(
        anchors=[first[:3], *others]
    )  # the authors' code has three anchors on the finest level
    detector = build_detector("ssdlite", build_backbone(key), 80, (SIDE, SIDE), options)
    assert count_parameters(detector) / 1e6 == pytest.approx(parameters, abs=0.05)
    assert count_macs(detector, SIDE, SIDE) / 1e9 == pytest.approx(macs, abs=0.05)
