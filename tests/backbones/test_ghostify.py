import pytest
import torch
import torchvision
from torch import nn

from mobiledet.backbones import ghostify
from mobiledet.backbones.ghostnet import GhostModule
from mobiledet.complexity import count_macs, count_parameters


@pytest.mark.parametrize(
    ("ratio", "macs", "parameters"),
    [
        # The paper: 2.2 B and 13.0 M, 1.2 B and 6.5 M. Its multiply-adds are met. Its parameters are ResNet-50's
        # 25.6 M divided by the ratio, as if the fully connected layer's 2.05 M shrank too; the authors' released
        # Ghost-ResNet-50 has the count below.
        (2, 2.2e9, 13.95e6),
        (4, 1.2e9, 8.15e6),
    ],
)
def test_ghost_resnet_50_is_the_papers(ratio: int, macs: float, parameters: float) -> None:
    with torch.device("meta"):
        model = ghostify(torchvision.models.resnet50(), ratio)
        plain = count_parameters(torchvision.models.resnet50())
    assert count_macs(model, 224, 224) == pytest.approx(macs, rel=0.025)
    assert count_parameters(model) == pytest.approx(parameters, rel=0.001)
    # the paper's figure, with the fully connected layer divided too
    fully_connected = 2048 * 1000
    as_published = count_parameters(model) - fully_connected * (1 - 1 / ratio)
    assert as_published == pytest.approx({2: 13.0e6, 4: 6.5e6}[ratio], rel=0.02)
    assert as_published == pytest.approx(plain / ratio, rel=0.05)


def test_replaced_network_keeps_shapes_and_learns() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 10, 5, stride=2, padding=4, dilation=2, padding_mode="reflect"),
        nn.BatchNorm2d(10),
        nn.Conv2d(10, 10, 3, padding=1, groups=10),
        nn.Conv2d(10, 2, 1, bias=False),
    )
    images = torch.randn(2, 3, 16, 24)
    expected = model(images).shape
    assert ghostify(model, ratio=3, kernel_size=5) is model
    assert [type(layer).__name__ for layer in model] == [
        "Conv2d",
        "ReLU",
        "GhostModule",
        "BatchNorm2d",
        "Conv2d",
        "Conv2d",
    ]
    ghost = model[2]
    assert isinstance(ghost, GhostModule)
    # 10 channels at ratio 3: 4 intrinsic ones make 8 ghosts, of which 6 are kept
    assert ghost.primary.weight.shape == (4, 8, 5, 5)
    assert ghost.cheap.weight.shape == (8, 1, 5, 5)
    assert ghost.primary.padding_mode == "reflect"
    output = model(images)
    assert output.shape == expected
    output.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_intrinsic_maps_come_first_and_each_ghost_from_one_of_them() -> None:
    model = ghostify(nn.Sequential(nn.Conv2d(4, 6, 1)), ratio=2)
    x = torch.randn(1, 4, 5, 5)
    output = model(x)
    intrinsic = model[0].primary(x)
    assert torch.equal(output[:, :3], intrinsic)
    changed = intrinsic.clone()
    changed[:, 1] += 1
    differs = (model[0].cheap(changed) != model[0].cheap(intrinsic)).flatten(2).any(2)
    assert differs.tolist() == [[False, True, False]]


def test_second_time_changes_nothing() -> None:
    model = ghostify(nn.Sequential(nn.Conv2d(4, 8, 3)), ratio=2)
    before = count_parameters(model)
    assert count_parameters(ghostify(model, ratio=2)) == before


@pytest.mark.parametrize(("ratio", "kernel_size"), [(1, 3), (2, 2), (2, 0)])
def test_values_out_of_range(ratio: int, kernel_size: int) -> None:
    with pytest.raises(ValueError, match=r"is below 2|is not odd"):
        ghostify(nn.Sequential(nn.Conv2d(4, 8, 3)), ratio, kernel_size)
