import pytest
import torch

from mobiledet.backbones import build_backbone
from mobiledet.detectors import Targets, build_detector
from mobiledet.detectors.dense import DenseDetector
from mobiledet.errors import UserError
from mobiledet.options import SsdLiteFpnOptions

CLASSES = 3
KEYS = ("ssdlite", "ssdlite_fpn")


def targets(images: int) -> Targets:
    boxes = torch.tensor([[4.0, 8.0, 40.0, 50.0], [60.0, 10.0, 90.0, 30.0]]).repeat(images, 1, 1)
    return Targets(boxes, torch.tensor([[0, 2]]).repeat(images, 1))


@pytest.mark.parametrize("backbone", ["shufflenet_v2_0.5x", "shufflenet_v2_2x"])
@pytest.mark.parametrize("key", KEYS)
def test_outputs_belong_to_the_anchors_and_every_parameter_learns(key: str, backbone: str) -> None:
    torch.manual_seed(0)
    detector = build_detector(key, build_backbone(backbone), CLASSES, (64, 96))
    assert isinstance(detector, DenseDetector)
    images = torch.randn(2, 3, 64, 96)
    raw = detector(images)
    anchors = len(detector.anchors_xyxy)
    assert sum(detector.level_sizes) == anchors
    assert raw.class_logits.shape == (2, anchors, detector.loss.num_logits(CLASSES))
    assert raw.box_deltas.shape == (2, anchors, 4)
    torch.stack(list(detector(images, targets(2)).values())).sum().backward()
    # levels of one cell give nothing to their depthwise borders, but every tensor takes part
    assert all(parameter.grad is not None for parameter in detector.parameters())


@pytest.mark.parametrize("key", KEYS)
def test_flattened_outputs_follow_the_order_of_the_anchors(key: str) -> None:
    """A box bias on one cell of one level must move the anchor that lies there."""
    detector = build_detector(key, build_backbone("shufflenet_v2_0.5x"), CLASSES, (64, 96)).eval()
    assert isinstance(detector, DenseDetector)
    seen: list[torch.Tensor] = []
    finest = detector.head.boxes[0][-1] if key == "ssdlite" else detector.head.boxes

    def mark(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        if seen:
            return output
        seen.append(output)
        marked = torch.zeros_like(output)
        marked[:, :4, 1, 2] = 9.0  # first anchor of row 1, column 2 of the finest level
        return marked

    finest.register_forward_hook(mark)
    with torch.inference_mode():
        raw = detector(torch.randn(1, 3, 64, 96))
    finest_cells = seen[0].shape[-2:].numel()
    hit = (raw.box_deltas[0, : detector.level_sizes[0]] == 9.0).all(1).nonzero().flatten()
    assert len(hit) == 1
    anchor = detector.anchors_xyxy[hit[0]]
    stride = 64 // seen[0].shape[-2]
    torch.testing.assert_close((anchor[:2] + anchor[2:]) / 2, torch.tensor([2.5, 1.5]) * stride)
    assert detector.level_sizes[0] % finest_cells == 0


def test_anchors_for_the_wrong_number_of_levels_are_refused() -> None:
    options = SsdLiteFpnOptions(anchors=(((0.1, 0.1),),))
    with pytest.raises(UserError, match="anchors are given for 1 levels, but this detector has 4"):
        build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), CLASSES, (64, 64), options)
