"""Weights in the layout of the ShuffleNet authors' released code, against that code's units written out again."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mobiledet.backbones import Classifier, build_backbone, build_classifier, load_pretrained
from mobiledet.backbones.pretrained import needs_of
from mobiledet.complexity import count_macs
from mobiledet.errors import UserError
from mobiledet_converters.passes.batch_norm import fold_batch_norm
from mobiledet_converters.passes.shufflenet_v1 import shuffle_blocks_v1
from mobiledet_converters.passes.shufflenet_v2 import remove_shuffles_v2

CLASSES = 10
UNITS = (4, 8, 4)


def conv_norm(in_channels: int, out_channels: int, size: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels)]


class AuthorsUnitV1(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, groups: int, is_first: bool, stride: int) -> None:
        super().__init__()
        self.groups, self.stride = groups, stride
        middle = out_channels // 4
        grown = out_channels - in_channels if stride == 2 else out_channels
        self.branch_main_1 = nn.Sequential(
            *conv_norm(in_channels, middle, groups=1 if is_first else groups),
            nn.ReLU(),
            *conv_norm(middle, middle, 3, stride, middle),
        )
        self.branch_main_2 = nn.Sequential(*conv_norm(middle, grown, groups=groups))

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch_main_1(x)
        # channel i * groups + j goes to j * (channels / groups) + i: the inverse of the paper's shuffle
        y = y.unflatten(1, (-1, self.groups)).transpose(1, 2).flatten(1, 2)
        y = self.branch_main_2(y)
        if self.stride == 1:
            return (x + y).relu()
        return torch.cat((nn.functional.avg_pool2d(x, 3, 2, 1), y.relu()), 1)


class AuthorsUnitV2(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        seen = in_channels if stride == 2 else in_channels // 2
        middle = out_channels // 2
        self.branch_main = nn.Sequential(
            *conv_norm(seen, middle),
            nn.ReLU(),
            *conv_norm(middle, middle, 3, stride, middle),
            *conv_norm(middle, out_channels - seen),
            nn.ReLU(),
        )
        if stride == 2:
            self.branch_proj = nn.Sequential(*conv_norm(seen, seen, 3, 2, seen), *conv_norm(seen, seen), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        return torch.cat((x[:, 0::2], self.branch_main(x[:, 1::2])), 1)


class Authors(nn.Module):
    """Their network around the units.

    Args:
        stem, channels: of the stem and of the stages.
        last: of the last convolution; None is ShuffleNetV1, which has none.
        groups: of ShuffleNetV1.
    """

    def __init__(self, stem: int, channels: tuple[int, ...], last: int | None, groups: int = 1) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*conv_norm(3, stem, 3, 2), nn.ReLU())
        self.features = nn.Sequential()
        for stage, (out_channels, units) in enumerate(zip(channels, UNITS, strict=True)):
            for unit in range(units):
                stride = 2 if unit == 0 else 1
                self.features.append(
                    AuthorsUnitV2(stem, out_channels, stride)
                    if last
                    else AuthorsUnitV1(stem, out_channels, groups, stage == unit == 0, stride)
                )
                stem = out_channels
        if last:
            self.conv_last = nn.Sequential(*conv_norm(stem, last), nn.ReLU())
        self.last = last
        self.classifier = nn.Sequential(nn.Linear(last or stem, CLASSES, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(nn.functional.max_pool2d(self.first_conv(images), 3, 2, 1))
        if self.last:
            x = self.conv_last(x)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


# sizes in the authors' code
NETWORKS = {
    "shufflenet_v1_0.5x_g3": lambda: Authors(12, (120, 240, 480), None, 3),
    "shufflenet_v1_1x_g3": lambda: Authors(24, (240, 480, 960), None, 3),
    "shufflenet_v1_1.5x_g3": lambda: Authors(24, (360, 720, 1440), None, 3),
    "shufflenet_v1_2x_g3": lambda: Authors(48, (480, 960, 1920), None, 3),
    "shufflenet_v1_2x_g8": lambda: Authors(48, (768, 1536, 3072), None, 8),
    "shufflenet_v2_0.5x": lambda: Authors(24, (48, 96, 192), 1024),
}
# V1's shuffle connects the groups in other numbers; V2's first unit leaves 24 channels to the shortcut
OTHER_NETWORKS = {
    "shufflenet_v1_1x_g8": lambda: Authors(24, (384, 768, 1536), None, 8),
    "shufflenet_v2_1x": lambda: Authors(24, (116, 232, 464), 1024),
    "shufflenet_v2_1.5x": lambda: Authors(24, (176, 352, 704), 1024),
    "shufflenet_v2_2x": lambda: Authors(24, (244, 488, 976), 2048),
}


def experienced(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, with statistics away from their start."""
    torch.manual_seed(0)
    network.train()(torch.randn(4, 3, 64, 64))
    return network.eval()


def save(network: nn.Module, path: Path) -> None:
    torch.save({"state_dict": {f"module.{name}": t for name, t in network.state_dict().items()}}, path)


@pytest.mark.parametrize("key", NETWORKS)
def test_logits_are_those_of_the_authors_network(key: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    peer = NETWORKS[key]()
    peer.train()(torch.randn(4, 3, 64, 64))  # statistics away from their start
    save(peer, tmp_path / "weights.pth.tar")
    ours = build_classifier(key, CLASSES)
    load_pretrained(ours, key, tmp_path / "weights.pth.tar")
    assert_same_logits(ours, peer)


def assert_same_logits(ours: nn.Module, peer: nn.Module) -> None:
    """Their network sees blue first."""
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    ours, peer = ours.double(), peer.double()
    with torch.no_grad():
        expected = peer.eval()(images.flip(1))
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours.eval()(images), expected)
        torch.testing.assert_close(ours.train()(images), peer.train()(images.flip(1)))


@pytest.mark.parametrize("key", OTHER_NETWORKS)
def test_weights_that_need_the_released_order(key: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    peer = OTHER_NETWORKS[key]()
    peer.train()(torch.randn(4, 3, 64, 64))
    path = tmp_path / "weights.pth.tar"
    save(peer, path)
    needs = needs_of(key, path, build_backbone(key))
    assert needs == ((0.0,) * 3, (1.0,) * 3, {"order": "released"})
    ours = Classifier(build_backbone(key, options=needs.options), CLASSES)
    load_pretrained(ours, key, path)
    assert_same_logits(ours, peer)
    with pytest.raises(UserError, match="backbone option order=released") as error:
        build_backbone(key, pretrained=str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", [key for key in OTHER_NETWORKS if key.startswith("shufflenet_v2")])
def test_papers_multiply_adds_of_shufflenet_v2_are_those_of_the_authors_first_unit(key: str) -> None:
    published = build_backbone(key).published
    assert published is not None
    ours = Classifier(build_backbone(key, options={"order": "released"}), 1000)
    assert count_macs(ours, 224, 224) / 1e6 == pytest.approx(published.macs_m, rel=0.002)


@pytest.mark.parametrize("key", ["shufflenet_v1_1x_g8", "shufflenet_v2_1x"])
def test_the_released_order_survives_what_export_does(key: str) -> None:
    backbone = experienced(build_backbone(key, options={"order": "released"}))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = backbone(image)
        for step in (fold_batch_norm, remove_shuffles_v2, shuffle_blocks_v1):
            backbone = step(backbone, image)
        if key.startswith("shufflenet_v2"):  # whose channels stand in an order that readers absorb
            expected, found = ([m.flatten(2).sort(1).values for m in maps] for maps in (expected, backbone(image)))
        else:
            found = backbone(image)
    for mine, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-4, rtol=1e-4)
