import pytest
import torch
from torchvision.ops import box_iou

from mobiledet.backbones import build_backbone
from mobiledet.detectors import Targets, TwoStageOutputs, build_detector
from mobiledet.detectors.two_stage import TwoStageDetector
from mobiledet.errors import UserError
from mobiledet.options import OPTIONS, OtherOptions
from mobiledet.spec import NmsSpec

KEYS = ("faster_rcnn", "faster_rcnn_fpn")
CLASSES = 4
SIZE = (96, 128)
NMS = NmsSpec(score=0.05, max_detections=60)


def build(key: str, **options: object) -> TwoStageDetector:
    torch.manual_seed(0)
    chosen = OPTIONS[key]().changed(**options)
    detector = build_detector(key, build_backbone("shufflenet_v2_0.5x"), CLASSES, SIZE, chosen)
    assert isinstance(detector, TwoStageDetector)
    return detector


def blocks(images: int, side: int = 28) -> tuple[torch.Tensor, Targets]:
    """Pictures of two bright squares each, whose colour is their class, on noise."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(images, 3, *SIZE, generator=generator) * 0.2
    boxes, labels = torch.zeros(images, 3, 4), torch.full((images, 3), -1)
    for image in range(images):
        for number in range(2):
            y = int(torch.randint(0, SIZE[0] - side, (1,), generator=generator))
            x = int(torch.randint(0, SIZE[1] // 2 - side, (1,), generator=generator)) + number * SIZE[1] // 2
            label = int(torch.randint(0, 3, (1,), generator=generator))
            pictures[image, label, y : y + side, x : x + side] += 3
            boxes[image, number] = torch.tensor([x, y, x + side, y + side])
            labels[image, number] = label
    return pictures, Targets(boxes, labels)


def settle(detector: TwoStageDetector) -> TwoStageDetector:
    """Give the normalisation the statistics of the pictures, which without many steps it does not have."""
    for module in detector.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the statistics become those of the pass below
    with torch.no_grad():
        detector.train()(*blocks(8))
    return detector.eval()


def stir(detector: TwoStageDetector) -> TwoStageDetector:
    """Random weights whose predictions differ from box to box."""
    with torch.no_grad():
        for layer, gain in ((detector.box_head.classes, 50.0), (detector.box_head.boxes, 200.0)):
            layer.weight *= gain
    return settle(detector)


def assert_same_detections(detector: TwoStageDetector) -> None:
    """As sets: sums in another order may let neighbours change places."""
    height, width = SIZE
    pictures, _ = blocks(3)
    with torch.inference_mode():
        for picture, expected in zip(pictures, detector.postprocess(detector(pictures), NMS), strict=True):
            static = detector.postprocess_static(detector.forward_static(picture[None]), NMS)
            count = int(static.count)
            assert count == len(expected.scores) > 1
            boxes = static.boxes[0, :count, [1, 0, 3, 2]] * torch.tensor([width, height, width, height])
            same = (boxes[:, None] - expected.boxes_xyxy).abs().amax(-1) < 0.05
            same &= (static.scores[0, :count, None] - expected.scores).abs() < 1e-3
            same &= static.classes[0, :count, None].long() == expected.labels
            assert same.any(0).all()
            assert same.any(1).all()
            assert static.scores[0, count:].sum() == static.boxes[0, count:].sum() == 0


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("options", [{}, {"class_agnostic": False, "box_head": "two_layer", "hidden": 64}])
def test_static_form_finds_what_the_dynamic_form_finds(key: str, options: dict[str, object]) -> None:
    assert_same_detections(stir(build(key, **options)))


def test_learns_a_few_pictures_and_finds_the_same_in_both_forms() -> None:
    detector = build("faster_rcnn")
    pictures, targets = blocks(8)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    losses = []
    for _ in range(45):
        optimizer.zero_grad()
        loss = torch.stack(list(detector(pictures, targets).values())).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    settle(detector)
    with torch.inference_mode():
        found = detector.postprocess(detector(pictures), NmsSpec(score=0.2))
    hits = 0
    for image, detections in enumerate(found):
        same = box_iou(targets.boxes_xyxy[image, :2], detections.boxes_xyxy) > 0.5
        same &= targets.labels[image, :2, None] == detections.labels
        hits += int(same.any(1).sum())
    assert hits >= 12  # of 16
    assert_same_detections(detector)


@pytest.mark.parametrize("key", KEYS)
def test_missing_proposals_are_never_detected(key: str) -> None:
    detector = stir(build(key, proposals=50))
    pictures, _ = blocks(1)
    with torch.inference_mode():
        raw: TwoStageOutputs = detector(pictures)
        raw.proposals[:, 3:] = 0
        everything = NmsSpec(iou=0.99, score=0.0, top_k=300, max_detections=300)
        (found,) = detector.postprocess(raw, everything)
        static = detector.postprocess_static(raw, everything)
    assert len(found.scores) == int(static.count) <= 3 * CLASSES


@pytest.mark.parametrize("key", KEYS)
def test_pictures_without_objects_have_finite_losses(key: str) -> None:
    detector = build(key)
    pictures, targets = blocks(2)
    losses = detector(pictures, Targets(targets.boxes_xyxy, torch.full_like(targets.labels, -1)))
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert losses["rpn_box"] == losses["box_reg"] == 0
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters() if p.grad is not None)


def test_padding_does_not_change_what_is_learnt() -> None:
    detector = build("faster_rcnn").eval()  # normalisation by fixed statistics
    pictures, targets = blocks(2)
    more = Targets(
        torch.cat((targets.boxes_xyxy, torch.full((2, 4, 4), 7.0)), dim=1),
        torch.cat((targets.labels, torch.full((2, 4), -1)), dim=1),
    )
    with torch.no_grad():
        torch.manual_seed(0)
        expected = detector(pictures, targets)
        torch.manual_seed(0)
        found = detector(pictures, more)
    # the sample of the first stage is the same; that of the second is drawn from longer lists
    for name in ("rpn_objectness", "rpn_box"):
        torch.testing.assert_close(found[name], expected[name])


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("faster_rcnn", {"box_head": "seperable"}, "box_head is 'seperable', not one of separable, two_layer"),
        ("faster_rcnn_fpn", {"layers": "heavy"}, "layers is 'heavy', not one of light, full"),
        ("faster_rcnn", {"anchor_sides": [32]}, "anchor_sides is unknown; there are channels, layers, anchors"),
        ("faster_rcnn", {"proposals": 0}, "proposals is 0, not in 1..1048576"),
        ("faster_rcnn_fpn", {"anchor_sides": [32, 0]}, r"anchor_sides\[1\] is 0, not above 0"),
    ],
)
def test_bad_options_are_told(key: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"detector {key}: detector_options.{message}"):
        build_detector(key, build_backbone("shufflenet_v2_0.5x"), CLASSES, SIZE, OtherOptions(options))
