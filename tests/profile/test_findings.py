import pytest
from torch import nn

from mobiledet.complexity import LayerCost, layer_costs
from mobiledet.profile.findings import elementwise, equal_width, equal_width_bound, find, fragmentation, grouping
from mobiledet.profile.runtime import summarise
from mobiledet.profile.trace import Trace, trace

SIDE = 8


def costs(*layers: nn.Module) -> tuple[LayerCost, ...]:
    return layer_costs(nn.Sequential(nn.Conv2d(3, 24, 3, padding=1), *layers), SIDE, SIDE)


def test_bound_is_reached_by_equal_widths_alone() -> None:
    for before, after in ((24, 24), (24, 6), (24, 96)):
        (layer,) = costs(nn.Conv2d(24, before, 1), nn.Conv2d(before, after, 1))[-1:]
        bound = equal_width_bound(layer.positions, layer.macs)
        assert layer.memory_access >= bound - 1e-6
        assert (layer.memory_access == pytest.approx(bound)) == (before == after)


def test_equal_width_names_the_worst() -> None:
    layers = costs(nn.Conv2d(24, 24, 1), nn.Conv2d(24, 48, 1), nn.Conv2d(48, 6, 1))
    finding = equal_width(layers)
    assert (finding.numbers["dense_1x1"], finding.numbers["unequal"]) == (3, 2)
    excess = [x.memory_access - equal_width_bound(x.positions, x.macs) for x in layers[2:]]
    assert finding.numbers["excess_memory_access"] == pytest.approx(sum(excess))
    assert finding.text.index("3 48 to 6") < finding.text.index("2 24 to 48")
    assert "the guideline is met" in equal_width(layers[:2]).text
    assert "no dense 1x1" in equal_width(layers[:1]).text


@pytest.mark.parametrize("groups", [2, 3, 8])
def test_groups_add_what_a_dense_layer_of_equal_cost_saves(groups: int) -> None:
    grouped = costs(nn.Conv2d(24, 48, 1, groups=groups))
    dense = costs(nn.Conv2d(24, 48 // groups, 1))
    assert grouped[-1].macs == dense[-1].macs
    finding = grouping(grouped)
    assert finding.numbers["added_memory_access"] == grouped[-1].memory_access - dense[-1].memory_access
    assert finding.numbers["share_of_macs"] == pytest.approx(grouped[-1].macs / sum(x.macs for x in grouped))
    assert grouping(dense).numbers["grouped_1x1"] == 0


def test_same_layer_twice_counts_twice() -> None:
    layer = nn.Conv2d(24, 24, 1, groups=2)
    once, twice = grouping(costs(layer)), grouping(costs(layer, layer))
    assert twice.numbers["added_memory_access"] == 2 * once.numbers["added_memory_access"]


def test_fragmentation_is_the_mean_of_the_levels() -> None:
    layers = costs(nn.Conv2d(24, 24, 1), nn.Conv2d(24, 24, 1))
    finding = fragmentation(layers, Trace((("a",), ("b", "c")), 0, 0))
    assert finding.numbers["mean_parallel"] == 1.5
    assert "at most 2 (such as b, c)" in finding.text
    assert "no parallel paths" in fragmentation(layers, Trace((("a",), ("b",), ("c",)), 0, 0)).text


def test_elementwise_with_and_without_a_measurement() -> None:
    layers = costs(nn.Conv2d(24, 24, 3, groups=24, padding=1))
    seen = Trace((("0",), ("1",)), 2, sum(layer.memory_access for layer in layers))
    assert elementwise(layers, seen, None).numbers["share_of_memory_access"] == 0.5
    times = [("Convolution (NHWC, F32) IGEMM", 5.0), ("Convolution (NHWC, F32) DWConv", 3.0), ("Add (ND, F32)", 2.0)]
    numbers = elementwise(layers, seen, summarise(times, 11.0, 30, 1)).numbers
    assert numbers["share_of_time"] == pytest.approx(0.2)
    assert numbers["depthwise_share_of_time"] == pytest.approx(0.3)


def test_network_without_convolutions_beside_each_other_or_groups() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    findings = find(layer_costs(model, SIDE, SIDE), trace(model, SIDE, SIDE), None)
    assert [finding.guideline for finding in findings] == ["G1", "G2", "G3", "G4"]
