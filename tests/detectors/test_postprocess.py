import pytest
import torch
from torchvision.ops import batched_nms

from mobiledet.backbones import build_backbone
from mobiledet.detectors import RawOutputs, build_detector
from mobiledet.detectors.dense import DenseDetector
from mobiledet.detectors.postprocess import select_detections
from mobiledet.options import OPTIONS
from mobiledet.spec import NmsSpec

CLASSES = 5
SIZE = (64, 96)


def detector_and_outputs(key: str, loss: str, images: int) -> tuple[DenseDetector, RawOutputs]:
    torch.manual_seed(0)
    options = OPTIONS[key]().changed(loss=loss)
    detector = build_detector(key, build_backbone("shufflenet_v2_0.5x"), CLASSES, SIZE, options).eval()
    assert isinstance(detector, DenseDetector)
    anchors = len(detector.anchors_xyxy)
    logits = torch.randn(images, anchors, detector.loss.num_logits(CLASSES)) * 3
    return detector, RawOutputs(logits, torch.randn(images, anchors, 4) * 0.5)


@pytest.mark.parametrize("key", ["ssdlite", "ssdlite_fpn"])
@pytest.mark.parametrize("loss", ["hard_negative", "focal"])
@pytest.mark.parametrize("nms", [NmsSpec(score=0.05), NmsSpec(iou=0.3, score=0.9, top_k=50, max_detections=20)])
def test_static_form_equals_dynamic_form(key: str, loss: str, nms: NmsSpec) -> None:
    detector, raw = detector_and_outputs(key, loss, images=1)
    (dynamic,) = detector.postprocess(raw, nms)
    static = detector.postprocess_static(raw, nms)
    count = int(static.count)
    assert count == len(dynamic.scores) > 0
    assert static.boxes.shape == (1, nms.max_detections, 4)
    height, width = SIZE
    boxes = static.boxes[0, :count, [1, 0, 3, 2]] * torch.tensor([width, height, width, height])
    torch.testing.assert_close(static.scores[0, :count], dynamic.scores)
    torch.testing.assert_close(static.classes[0, :count].long(), dynamic.labels)
    torch.testing.assert_close(boxes, dynamic.boxes_xyxy, atol=1e-3, rtol=1e-4)
    # padding is zero, boxes stay inside
    assert static.scores[0, count:].sum() == static.boxes[0, count:].sum() == 0
    assert static.boxes.min() >= 0
    assert static.boxes.max() <= 1


def test_nothing_above_the_threshold_gives_no_detection() -> None:
    detector, raw = detector_and_outputs("ssdlite_fpn", "focal", images=1)
    raw = RawOutputs(raw.class_logits - 100, raw.box_deltas)
    assert len(detector.postprocess(raw, NmsSpec())[0].scores) == 0
    static = detector.postprocess_static(raw, NmsSpec())
    assert static.count == 0
    assert static.scores.sum() == 0


def test_fewer_candidates_than_rows_are_padded() -> None:
    torch.manual_seed(0)
    detector = build_detector("ssdlite_fpn", build_backbone("shufflenet_v2_0.5x"), 1, (32, 32)).eval()
    assert isinstance(detector, DenseDetector)
    assert len(detector.anchors_xyxy) < 100
    anchors = len(detector.anchors_xyxy)
    static = detector.postprocess_static(RawOutputs(torch.randn(1, anchors, 1), torch.randn(1, anchors, 4)), NmsSpec())
    assert static.boxes.shape == (1, 100, 4)
    assert 0 < static.count <= anchors


def test_batched_selection_equals_torchvision_image_by_image() -> None:
    torch.manual_seed(0)
    corner = torch.rand(3, 200, 2) * 60
    boxes = torch.cat((corner, corner + 2 + torch.rand(3, 200, 2) * 30), dim=-1)
    scores = torch.rand(3, 200, CLASSES)
    scores[1] = 0  # an image without detections
    nms = NmsSpec(score=0.2, top_k=150, max_detections=40)
    found = select_detections(boxes, scores, nms)
    for image in range(3):
        best, index = scores[image].flatten().topk(nms.top_k)
        index, best = index[best >= nms.score], best[best >= nms.score]
        kept = batched_nms(boxes[image][index // CLASSES], best, index % CLASSES, nms.iou)[: nms.max_detections]
        torch.testing.assert_close(found[image].scores, best[kept])
        torch.testing.assert_close(found[image].boxes_xyxy, boxes[image][index // CLASSES][kept])
        assert torch.equal(found[image].labels, (index % CLASSES)[kept])
    assert len(found[1].scores) == 0
