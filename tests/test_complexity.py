import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mobiledet.backbones import build_classifier
from mobiledet.complexity import count_macs, layer_costs, layer_kind


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("shufflenet_v2_0.5x", "shufflenet_v2_x0_5"),
        ("shufflenet_v2_2x", "shufflenet_v2_x2_0"),
        ("mobilenet_v2_1x", "mobilenet_v2"),
    ],
)
def test_multiply_adds_equal_torchs_own_count_of_torchvisions_network(key: str, name: str) -> None:
    with torch.device("meta"):
        ours, theirs = build_classifier(key), torchvision.models.get_model(name).eval()
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            theirs(torch.zeros(1, 3, 224, 224))
    assert count_macs(ours, 224, 224) == counter.get_total_flops() // 2


def test_count_does_not_depend_on_the_device() -> None:
    with torch.device("meta"):
        counted = layer_costs(build_classifier("ghostnet_0.5x"), 64, 96)
    model = build_classifier("ghostnet_0.5x").train()
    assert layer_costs(model, 64, 96) == counted
    assert model.training


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(4, 8, 1), "1x1"),
        (nn.Conv2d(4, 8, 3), "full"),
        (nn.Conv2d(4, 8, 1, groups=2), "grouped"),
        (nn.Conv2d(4, 8, 3, groups=4), "depthwise"),
        (nn.Conv2d(1, 8, 3), "full"),
        (nn.Linear(4, 8), "linear"),
    ],
)
def test_kinds(layer: nn.Module, kind: str) -> None:
    assert layer_kind(layer) == kind
