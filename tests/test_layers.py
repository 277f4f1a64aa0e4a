import torch
from torch import nn
from torchvision.models.shufflenetv2 import channel_shuffle as torchvision_shuffle
from torchvision.ops import SqueezeExcitation

from mobiledet.layers import SqueezeExcite, channel_shuffle, make_divisible


def test_channel_shuffle_equals_torchvision() -> None:
    x = torch.randn(2, 12, 3, 5)
    for groups in (1, 2, 3, 4):
        assert torch.equal(channel_shuffle(x, groups), torchvision_shuffle(x, groups))


def test_channel_shuffle_can_be_scripted() -> None:
    x = torch.randn(2, 12, 3, 5)
    assert torch.equal(torch.jit.script(channel_shuffle)(x, 3), channel_shuffle(x, 3))


def test_squeeze_excite_equals_torchvision() -> None:
    ours, theirs = SqueezeExcite(8, 4, nn.Hardsigmoid), SqueezeExcitation(8, 4, scale_activation=nn.Hardsigmoid)
    ours.load_state_dict(
        {name.replace("fc1", "reduce").replace("fc2", "expand"): t for name, t in theirs.state_dict().items()}
    )
    x = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_make_divisible_rounds_to_eight_and_keeps_nine_tenths() -> None:
    # MobileNetV2's channel counts at widths 0.35 and 1.4
    assert [make_divisible(c * 0.35) for c in (32, 16, 24, 320)] == [16, 8, 8, 112]
    assert [make_divisible(c * 1.4) for c in (32, 16, 24, 320)] == [48, 24, 32, 448]
