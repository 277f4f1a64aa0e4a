import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from mobiledet.backbones import build_backbone, build_classifier
from mobiledet.complexity import count_macs, count_parameters

# table 8 of arXiv:1807.11164 (multiply-adds) and the authors' parameter counts: key, multiply-adds M, parameters M
PUBLISHED = [
    ("shufflenet_v2_0.5x", 41, 1.4),
    ("shufflenet_v2_1x", 146, 2.3),
    ("shufflenet_v2_1.5x", 299, 3.5),
    ("shufflenet_v2_2x", 591, 7.4),
]
TORCHVISION = {
    "shufflenet_v2_0.5x": torchvision.models.shufflenet_v2_x0_5,
    "shufflenet_v2_1x": torchvision.models.shufflenet_v2_x1_0,
    "shufflenet_v2_1.5x": torchvision.models.shufflenet_v2_x1_5,
    "shufflenet_v2_2x": torchvision.models.shufflenet_v2_x2_0,
}


@pytest.mark.parametrize(("key", "macs", "parameters"), PUBLISHED)
def test_cost_is_the_papers(key: str, macs: float, parameters: float) -> None:
    model = build_classifier(key)
    # The paper does not say what it counts. Convolutions and the fully connected layer alone give 40.5, 144.9, 295.8
    # and 583.3 M, 0.8 to 1.3 % below its figures; one operation more for each normalised value gives 590.7 M for 2x.
    assert count_macs(model, 224, 224) / 1e6 == pytest.approx(macs, rel=0.014)
    assert count_parameters(model) / 1e6 == pytest.approx(parameters, rel=0.01, abs=0.05)


@pytest.mark.parametrize("key", TORCHVISION)
def test_multiply_adds_equal_torchs_own_count_of_torchvisions_network(key: str) -> None:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        TORCHVISION[key]().eval()(torch.zeros(1, 3, 224, 224))
    assert count_macs(build_classifier(key), 224, 224) == counter.get_total_flops() // 2


@pytest.mark.parametrize("key", TORCHVISION)
@pytest.mark.parametrize("training", [False, True])
def test_outputs_equal_torchvision_with_copied_weights(key: str, training: bool) -> None:
    torch.manual_seed(0)
    peer = TORCHVISION[key]().train()
    ours = build_classifier(key).train()
    for _ in range(2):  # statistics away from their start
        peer(torch.randn(4, 3, 64, 64))
    # both list their tensors in the order of the paper, except that torchvision puts the shortcut branch first as we do
    theirs = list(peer.state_dict().values())
    own = ours.state_dict()
    assert [tuple(t.shape) for t in own.values()] == [tuple(t.shape) for t in theirs]
    ours.load_state_dict(dict(zip(own, theirs, strict=True)))
    images = torch.randn(2, 3, 96, 64)
    peer.train(training), ours.train(training)
    torch.testing.assert_close(ours(images), peer(images), atol=1e-5, rtol=1e-5)
    # running statistics after a training step: momentum and epsilon agree too
    for mine, other in zip(ours.state_dict().values(), peer.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("key", TORCHVISION)
def test_features_have_the_declared_channels_and_strides(key: str) -> None:
    backbone = build_backbone(key).eval()
    height, width = 64, 96
    with torch.inference_mode():
        features = backbone(torch.randn(2, 3, height, width))
    assert [info.stride for info in backbone.feature_info] == [8, 16, 32]
    for info, feature in zip(backbone.feature_info, features, strict=True):
        assert feature.shape == (2, info.channels, height // info.stride, width // info.stride)


def test_every_parameter_gets_a_gradient() -> None:
    backbone = build_backbone("shufflenet_v2_0.5x").train()
    sum(feature.square().mean() for feature in backbone(torch.randn(2, 3, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


def test_channels_last_survives_the_network() -> None:
    backbone = build_backbone("shufflenet_v2_0.5x").eval().to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert all(f.is_contiguous(memory_format=torch.channels_last) for f in backbone(images))
