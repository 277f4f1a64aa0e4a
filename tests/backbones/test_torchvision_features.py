import copy

import pytest
import torch
import torchvision

from mobiledet.backbones import Backbone, FeatureInfo, build_backbone, build_classifier
from mobiledet.complexity import count_macs
from mobiledet.errors import UserError

EXPECTED = {
    "resnet18": (("layer2", 128), ("layer3", 256), ("layer4", 512)),
    "resnet50": (("layer2", 512), ("layer3", 1024), ("layer4", 2048)),
    "resnext50_32x4d": (("layer2", 512), ("layer3", 1024), ("layer4", 2048)),
    "vgg16": (("features.22", 512), ("features.29", 512), ("features", 512)),
    "mobilenet_v2": (("features.6", 32), ("features.13", 96), ("features", 1280)),
    "mobilenet_v3_large": (("features.6", 40), ("features.12", 112), ("features", 960)),
    "densenet121": (("features.denseblock2", 512), ("features.denseblock3", 1024), ("features", 1024)),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_last_block_of_each_stride_is_taken(name: str) -> None:
    with torch.device("meta"):
        info = build_backbone(f"torchvision:{name}").feature_info
    assert info == tuple(FeatureInfo(*row, stride) for row, stride in zip(EXPECTED[name], (8, 16, 32), strict=True))


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build_backbone("torchvision:mobilenet_v3_small")


def test_features_have_the_declared_shapes(backbone: Backbone) -> None:
    with torch.inference_mode():
        features = backbone.eval()(torch.randn(2, 3, 64, 96))
    for info, feature in zip(backbone.feature_info, features, strict=True):
        assert feature.shape == (2, info.channels, 64 // info.stride, 96 // info.stride)


def test_every_parameter_gets_a_gradient(backbone: Backbone) -> None:
    features = backbone.train()(torch.randn(2, 3, 64, 64))
    torch.stack([(feature * torch.randn_like(feature)).sum() for feature in features]).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


def test_a_new_one_is_ready_to_train_and_can_be_copied() -> None:
    backbone = build_backbone("torchvision:mobilenet_v3_small")
    assert all(module.training for module in backbone.modules())
    twin = copy.deepcopy(backbone).eval()
    assert not any(module.training for module in twin.modules())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(backbone.eval()(images), twin(images), strict=True))


def test_exports(backbone: Backbone) -> None:
    images = torch.randn(1, 3, 64, 64)
    program = torch.export.export(backbone.eval(), (images,))
    for got, expected in zip(program.module()(images), backbone(images), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


def test_classifier_costs_what_torchvisions_does() -> None:
    with torch.device("meta"):
        ours, theirs = build_classifier("torchvision:resnet50"), torchvision.models.resnet50()
    assert count_macs(ours, 224, 224) == count_macs(theirs, 224, 224)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("name", ["vit_b_16", "squeezenet1_1", "swin_t"])
def test_network_without_such_features(name: str) -> None:
    with (
        torch.device("meta"),
        pytest.raises(UserError, match=rf"torchvision's {name} gives no feature maps .*torchvision:resnet50"),
    ):
        build_backbone(f"torchvision:{name}")


@pytest.mark.parametrize(
    ("name", "channels"),
    [("mobilenet_v2", (576, 1280)), ("mobilenet_v3_large", (672, 960)), ("resnet18", (256, 512))],
)
def test_maps_for_ssdlite(name: str, channels: tuple[int, int]) -> None:
    backbone = build_backbone(f"torchvision:{name}").eval()
    with torch.inference_mode():
        maps = backbone.ssd_features(torch.zeros(1, 3, 64, 96))
    assert [tuple(found.shape) for found in maps] == [(1, channels[0], 4, 6), (1, channels[1], 2, 3)]
    assert tuple(info.channels for info in backbone.ssd_info) == channels


def test_expansion_for_ssdlite_is_the_same_in_both_forms_of_mobilenet_v2() -> None:
    theirs, ours = build_backbone("torchvision:mobilenet_v2").eval(), build_backbone("mobilenet_v2_1x").eval()
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=False):
        mine.copy_(other)  # torchvision's has the 1280 channels besides
    last, channels = ours.ssd_last_layer()
    last.load_state_dict(theirs.body.features.get_submodule("18").state_dict())
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expansion, coarse = ours.ssd_features(images)
        expected = theirs.ssd_features(images)
        torch.testing.assert_close(expansion, expected[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(last.eval()(coarse), expected[1], rtol=0, atol=1e-5)
    assert channels == 1280
