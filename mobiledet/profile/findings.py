"""Checks a network against the four guidelines of ShuffleNet V2 (arXiv:1807.11164, section 2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mobiledet.complexity import LayerCost
from mobiledet.profile.runtime import ELEMENTWISE, RunTime
from mobiledet.profile.trace import Trace

WORST = 3  # number of layers that a finding names


@dataclass(frozen=True)
class Finding:
    """The finding of one guideline on a network.

    Attributes:
        guideline: ``G1`` to ``G4``.
        title: short name of the guideline.
        text: the finding in plain sentences.
        numbers: the figures in the text, and related ones.
    """

    guideline: str
    title: str
    text: str
    numbers: dict[str, float]


def equal_width_bound(positions: int, macs: int) -> float:
    """Least memory access of a 1x1 convolution with ``macs`` multiply-adds on a map of ``positions`` positions.

    2 sqrt(hw B) + B / (hw), reached with equal numbers of input and output channels.
    """
    return 2 * math.sqrt(positions * macs) + macs / positions


def find(layers: Sequence[LayerCost], trace: Trace, run_time: RunTime | None) -> tuple[Finding, ...]:
    """One finding for each guideline.

    Args:
        layers: costs of the layers of the network.
        trace: trace of the same run.
        run_time: measured time; None if not measured.
    """
    return (equal_width(layers), grouping(layers), fragmentation(layers, trace), elementwise(layers, trace, run_time))


def equal_width(layers: Sequence[LayerCost]) -> Finding:
    """G1: 1x1 convolutions with equal numbers of input and output channels access the least memory.

    Reports the access of every dense 1x1 convolution beyond ``equal_width_bound``.
    """
    dense = [layer for layer in layers if layer.kind == "1x1"]
    unequal = [layer for layer in dense if layer.in_channels != layer.out_channels]
    excess = [layer.memory_access - equal_width_bound(layer.positions, layer.macs) for layer in unequal]
    total, extra = sum(layer.memory_access for layer in layers), sum(excess)
    if not dense:
        text = "There is no dense 1x1 convolution, so the guideline is met."
    elif not unequal:
        text = (
            f"All {len(dense)} dense 1x1 convolutions have as many input as output channels, so the guideline is met."
        )
    else:
        named = ", ".join(
            f"{_short(w)} {w.in_channels} to {w.out_channels} ({_m(e)} M)" for e, w in _worst(excess, unequal)
        )
        text = (
            f"Dense 1x1 convolutions that change the number of channels: {len(unequal)} of {len(dense)}. They access "
            f"{_m(extra)} M values more than convolutions of equal width with the same multiply-adds would, "
            f"{extra / total:.1%} of the network's memory access. Worst: {named}."
        )
    numbers = {
        "dense_1x1": len(dense),
        "unequal": len(unequal),
        "excess_memory_access": extra,
        "share_of_memory_access": extra / total,
    }
    return Finding("G1", "equal channel widths", text, numbers)


def grouping(layers: Sequence[LayerCost]) -> Finding:
    """G2: grouped 1x1 convolutions access more memory than dense ones of the same multiply-adds.

    The dense one with the same input and the same multiply-adds has g times fewer channels at its output, so that the
    groups add hw c2 (1 - 1/g).
    """
    grouped = [layer for layer in layers if layer.is_grouped_1x1]
    total, macs = sum(layer.memory_access for layer in layers), sum(layer.macs for layer in layers)
    share = sum(layer.macs for layer in grouped) / macs
    added = [layer.positions * layer.out_channels * (1 - 1 / layer.groups) for layer in grouped]
    extra = sum(added)
    if grouped:
        named = ", ".join(f"{_short(w)} in {w.groups} groups ({_m(a)} M)" for a, w in _worst(added, grouped))
        text = (
            f"{len(grouped)} grouped 1x1 convolutions do {share:.1%} of the multiply-adds. Dense ones of the same cost "
            f"would access {_m(extra)} M values less, {extra / total:.1%} of the network's memory access. "
            f"Most: {named}."
        )
    else:
        text = "There is no grouped 1x1 convolution, so groups add no memory access."
    numbers = {
        "grouped_1x1": len(grouped),
        "share_of_macs": share,
        "added_memory_access": extra,
        "share_of_memory_access": extra / total,
    }
    return Finding("G2", "few groups", text, numbers)


def fragmentation(layers: Sequence[LayerCost], trace: Trace) -> Finding:
    """G3: many small parallel operations reduce the utilisation of a parallel processor.

    Convolutions of one level do not need each other; fragmentation is the mean number of convolutions in a level, 1
    for a plain chain.
    """
    convolutions = [layer for layer in layers if layer.kind != "linear"]
    chain, widest = len(trace.levels), max(trace.levels, key=len)
    parallel = [level for level in trace.levels if len(level) > 1]
    mean = sum(map(len, trace.levels)) / chain
    small = sorted(layer.macs for layer in convolutions)[len(convolutions) // 2]
    text = f"{len(convolutions)} convolutions, the longest chain {chain}: {mean:.2f} side by side on average. "
    if parallel:
        names = ", ".join(list(dict.fromkeys(widest))[:WORST])
        text += f"At {len(parallel)} places there are several, at most {len(widest)} (such as {names}). "
    else:
        text += "There are no parallel paths. "
    text += f"Half of the convolutions have less than {_m(small)} M multiply-adds."
    numbers = {
        "convolutions": len(convolutions),
        "longest_chain": chain,
        "mean_parallel": mean,
        "most_parallel": len(widest),
        "median_macs": small,
    }
    return Finding("G3", "little fragmentation", text, numbers)


def elementwise(layers: Sequence[LayerCost], trace: Trace, run_time: RunTime | None) -> Finding:
    """G4: activations, sums and gates have few operations, but much memory access.

    The paper counts depthwise convolutions with them, so they are reported, too.
    """
    total = sum(layer.memory_access for layer in layers) + trace.elementwise_access
    depthwise = sum(layer.memory_access for layer in layers if layer.kind == "depthwise")
    share = trace.elementwise_access / total
    text = (
        f"{trace.elementwise} activations, sums and gates would be {share:.1%} of all memory access if each ran "
        f"separately{f', depthwise convolutions another {depthwise / total:.1%}' if depthwise else ''}."
    )
    numbers = {
        "elementwise": trace.elementwise,
        "share_of_memory_access": share,
        "depthwise_share_of_memory_access": depthwise / total,
    }
    if run_time:
        measured, depthwise_time = run_time.shares[ELEMENTWISE], run_time.share_of("DWConv")
        depthwise_text = f"; depthwise convolutions take {depthwise_time:.1%}" if depthwise else ""
        text += (
            f" Measured, element-wise operations take {measured:.1%} of the time, because LiteRT fuses most "
            f"activations into convolutions{depthwise_text}."
        )
        numbers |= {"share_of_time": measured, "depthwise_share_of_time": depthwise_time}
    return Finding("G4", "few element-wise operations", text, numbers)


def _worst(costs: Sequence[float], layers: Sequence[LayerCost]) -> list[tuple[float, LayerCost]]:
    """The layers with the largest costs, with these costs."""
    return sorted(zip(costs, layers, strict=True), key=lambda pair: -pair[0])[:WORST]


def _m(numbers: float) -> str:
    """A number in millions, with three digits."""
    return f"{numbers / 1e6:.3g}"


def _short(layer: LayerCost) -> str:
    """The layer's path without the part that all layers share."""
    return layer.name.removeprefix("backbone.")
