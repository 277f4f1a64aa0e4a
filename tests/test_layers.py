import torch
from torchvision.models.shufflenetv2 import channel_shuffle as torchvision_shuffle

from mobiledet.layers import channel_shuffle, make_divisible


def test_channel_shuffle_equals_torchvision() -> None:
    x = torch.randn(2, 12, 3, 5)
    for groups in (1, 2, 3, 4):
        assert torch.equal(channel_shuffle(x, groups), torchvision_shuffle(x, groups))


def test_make_divisible_rounds_to_eight_and_keeps_nine_tenths() -> None:
    # MobileNetV2's channel counts at widths 0.35 and 1.4
    assert [make_divisible(c * 0.35) for c in (32, 16, 24, 320)] == [16, 8, 8, 112]
    assert [make_divisible(c * 1.4) for c in (32, 16, 24, 320)] == [48, 24, 32, 448]
