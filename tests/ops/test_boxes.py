import torch
from torchvision.ops import box_convert, box_iou, generalized_box_iou

from mobiledet.ops.boxes import paired_giou, paired_iou, pairwise_iou, to_cxcywh, to_xyxy


def random_boxes(*shape: int) -> torch.Tensor:
    corner = torch.rand(*shape, 2) * 80
    return torch.cat((corner, corner + 1 + torch.rand(*shape, 2) * 40), dim=-1)


def test_conversions_equal_torchvision() -> None:
    boxes = random_boxes(20)
    torch.testing.assert_close(to_cxcywh(boxes), box_convert(boxes, "xyxy", "cxcywh"))
    torch.testing.assert_close(to_xyxy(to_cxcywh(boxes)), boxes)


def test_pairwise_iou_equals_torchvision_for_every_image_of_a_batch() -> None:
    first, second = random_boxes(3, 7), random_boxes(11)
    iou = pairwise_iou(first, second.unsqueeze(0))
    for image in range(3):
        torch.testing.assert_close(iou[image], box_iou(first[image], second))


def test_iou_of_empty_boxes_is_zero() -> None:
    empty = torch.zeros(1, 4)
    assert pairwise_iou(empty, empty).item() == 0
    assert paired_iou(empty, empty).item() == 0


def test_paired_overlaps_equal_the_diagonals_of_torchvision() -> None:
    first, second = random_boxes(30), random_boxes(30)
    torch.testing.assert_close(paired_iou(first, second), box_iou(first, second).diagonal())
    torch.testing.assert_close(paired_giou(first, second), generalized_box_iou(first, second).diagonal())
