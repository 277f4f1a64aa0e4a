"""Equalises the channels of a network before its quantisation, see ``mobiledet_converters.equalization``."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn

from mobiledet_converters.equalization import channel_factors

HOMOGENEOUS = (nn.LeakyReLU, nn.ReLU, nn.ZeroPad2d)  # allowed in between: layers that commute with positive factors


class Pair(NamedTuple):
    """Two convolutions with nothing but activations between them.

    Attributes:
        first: a convolution of any kind.
        second: a depthwise convolution.
        between: the node whose output the second one reads.
    """

    first: nn.Conv2d
    second: nn.Conv2d
    between: fx.Node


class _ChannelRanges(fx.Interpreter):
    """Runs a network and records the largest absolute value of each channel at some nodes."""

    def __init__(self, network: fx.GraphModule, nodes: Iterable[fx.Node]) -> None:
        super().__init__(network)
        self.largest: dict[fx.Node, list[np.ndarray]] = {node: [] for node in nodes}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n in self.largest:
            self.largest[n].append(result.abs().amax((0, 2, 3)).numpy())
        return result


def find_pairs(network: fx.GraphModule) -> list[Pair]:
    """All pairs of a folded network whose tensors in between have no other readers."""
    modules = dict(network.named_modules())
    uses = Counter(node.target for node in network.graph.nodes)

    def module_of(node: fx.Node) -> nn.Module | None:
        return modules[str(node.target)] if node.op == "call_module" and uses[node.target] == 1 else None

    pairs = []
    for node in network.graph.nodes:
        second = module_of(node)
        if not (isinstance(second, nn.Conv2d) and second.groups == second.in_channels == second.out_channels > 1):
            continue
        source = between = node.all_input_nodes[0]
        while isinstance(module_of(source), HOMOGENEOUS) and len(source.users) == 1:
            source = source.all_input_nodes[0]
        first = module_of(source)
        if isinstance(first, nn.Conv2d) and len(source.users) == 1:
            pairs.append(Pair(first, second, between))
    return pairs


@torch.no_grad()
def equalize(network: fx.GraphModule, inputs: Iterable[Tensor]) -> int:
    """Change the weights of a folded network in place; it computes the same up to rounding.

    Args:
        network: a network from ``quantize.fold_normalisation``.
        inputs: its inputs for calibration, each 1 x 3 x height x width.

    Returns:
        the number of changed pairs of convolutions.
    """
    pairs = find_pairs(network)
    ranges = _ChannelRanges(network, (pair.between for pair in pairs))
    for image in inputs:
        ranges.run(image)
    for first, second, between in pairs:
        factors = torch.from_numpy(channel_factors(np.array(ranges.largest[between])))
        first.weight.mul_(factors.view(-1, 1, 1, 1))
        if first.bias is not None:
            first.bias.mul_(factors)
        second.weight.div_(factors.view(-1, 1, 1, 1))
    return len(pairs)
