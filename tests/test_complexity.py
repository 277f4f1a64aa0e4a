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


def numbers_in_and_out(model: nn.Module, side: int) -> dict[str, tuple[int, int, int]]:
    """Of each convolution and fully connected layer of a torch network: numbers of input, output and weight."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(
                lambda module, inputs, output, name=name: found.update(
                    {name: (inputs[0].numel(), output.numel(), module.weight.numel())}
                )
            )
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, side, side))
    return found


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x0_5", "resnext50_32x4d", "vgg11"])
def test_memory_access_is_input_output_and_weight_once(name: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name)
        counted = numbers_in_and_out(model, 224)
        costs = {cost.name: cost.memory_access for cost in layer_costs(model, 224, 224)}
    strided_1x1 = [key for key in counted if "downsample.0" in key and not key.startswith("layer1")]
    for key in strided_1x1:  # these touch a quarter of their input
        taken, given, weight = counted[key]
        counted[key] = (taken // 4, given, weight)
    assert costs == {key: sum(numbers) for key, numbers in counted.items()}


def test_memory_access_of_the_papers_formula() -> None:
    """Section 2 of arXiv:1807.11164: hw(c1 + c2) + c1 c2 / g."""
    model = nn.Sequential(nn.Conv2d(3, 24, 1), nn.Conv2d(24, 36, 1, groups=4))
    dense, grouped = layer_costs(model, 10, 14)
    assert dense.memory_access == 140 * (3 + 24) + 3 * 24
    assert grouped.memory_access == 140 * (24 + 36) + 24 * 36 // 4
    assert grouped.macs == 140 * 24 * 36 // 4
    assert (grouped.is_grouped_1x1, dense.is_grouped_1x1) == (True, False)


def test_vectors_of_a_fully_connected_layer_are_positions() -> None:
    (cost,) = layer_costs(nn.Sequential(nn.Flatten(2), nn.Linear(20, 7)), 4, 5)
    assert (cost.positions, cost.macs, cost.memory_access) == (3, 3 * 20 * 7, 3 * 20 + 3 * 7 + 20 * 7)
