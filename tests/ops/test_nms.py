import pytest
import torch
from torchvision.ops import batched_nms

from mobiledet.ops.nms import static_nms


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
def test_equals_torchvision(seed: int, iou: float) -> None:
    torch.manual_seed(seed)
    count = 300
    corner = torch.rand(count, 2)
    boxes = torch.cat((corner, corner + 0.05 + torch.rand(count, 2) * 0.5), dim=1)
    labels = torch.randint(0, 3, (count,))
    scores = torch.rand(count).sort(descending=True).values
    kept = batched_nms(boxes, scores, labels, iou)
    expected = torch.zeros(count).index_fill(0, kept, 1.0)
    assert torch.equal(static_nms(boxes, labels.float(), torch.ones(count), iou), expected)


def test_padding_neither_survives_nor_suppresses() -> None:
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(3, 1)
    keep = static_nms(boxes, torch.zeros(3), torch.tensor([0.0, 1.0, 1.0]), 0.5)
    assert keep.tolist() == [0, 1, 0]


def test_a_chain_longer_than_the_rounds_is_the_limit() -> None:
    # each box overlaps only its neighbours, so every second one is kept
    count = 12
    left = torch.arange(count) * 0.3
    boxes = torch.stack((left, torch.zeros(count), left + 1, torch.ones(count)), dim=1)
    expected = [float(i % 2 == 0) for i in range(count)]
    assert static_nms(boxes, torch.zeros(count), torch.ones(count), 0.5, rounds=count).tolist() == expected
    assert static_nms(boxes, torch.zeros(count), torch.ones(count), 0.5, rounds=2).tolist() != expected
