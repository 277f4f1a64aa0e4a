import torch
from torchvision.models.detection._utils import BoxCoder

from mobiledet.ops.box_coder import MAX_LOG_SCALE, SSD_WEIGHTS, decode, encode


def random_boxes(count: int) -> torch.Tensor:
    corner = torch.rand(count, 2) * 80
    return torch.cat((corner, corner + 1 + torch.rand(count, 2) * 40), dim=-1)


def test_encode_and_decode_equal_torchvision() -> None:
    anchors, boxes = random_boxes(50), random_boxes(50)
    coder = BoxCoder(weights=SSD_WEIGHTS)
    deltas = encode(boxes, anchors)
    torch.testing.assert_close(deltas, coder.encode_single(boxes, anchors))
    large = torch.randn(50, 4) * 30  # beyond the limit of the scale too
    torch.testing.assert_close(decode(large, anchors), coder.decode_single(large, anchors))


def test_decode_undoes_encode_in_a_batch() -> None:
    anchors = random_boxes(10)
    boxes = random_boxes(20).view(2, 10, 4)
    torch.testing.assert_close(decode(encode(boxes, anchors), anchors), boxes, atol=1e-3, rtol=1e-4)


def test_scale_is_limited() -> None:
    box = decode(torch.tensor([[0.0, 0.0, 1e6, 1e6]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]]))
    assert torch.isfinite(box).all()
    torch.testing.assert_close(box[0, 2] - box[0, 0], torch.tensor(2.0) * torch.tensor(MAX_LOG_SCALE).exp())
