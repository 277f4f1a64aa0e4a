"""Unifies the ranges of tensors between which values are only moved, such as the inputs of a concatenation.

If the inputs of a concatenation of 8-bit numbers have different scales, the quantiser inserts operations that rescale
them, which cost time. GhostNet has a concatenation in each of its modules.
"""

from pathlib import Path

from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet_converters.tflite.float_part import float_operations
from mobiledet_converters.tflite.ranges import Ranges

# operations whose outputs are values of their inputs
MOVING = {"CONCATENATION", "SLICE", "STRIDED_SLICE", "SPLIT", "RESHAPE", "TRANSPOSE", "MAX_POOL_2D", "PAD"}


def share_ranges(path: Path, ranges: Ranges) -> Ranges:
    """Give all tensors that are connected by operations that only move values the union of their ranges.

    Args:
        path: the float .tflite file.
        ranges: ranges of its tensors.
    """
    model = read_model(path)
    floats = float_operations(model)
    graph = model.subgraphs[0]
    names = [(tensor.name or b"").decode() for tensor in graph.tensors]
    group = {name: name for name in ranges}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for operation in graph.operators:
        moved = [names[i] for i in (*operation.inputs, *operation.outputs) if i >= 0 and names[i] in group]
        if str(opcode_to_name(model, operation.opcodeIndex)) in MOVING and not floats & set(moved):
            for name in moved[1:]:
                group[root(name)] = root(moved[0])
    members: dict[str, list[str]] = {}
    for name in group:
        members.setdefault(root(name), []).append(name)
    shared = {}
    for together in members.values():
        low, high = (choose(ranges[n][side] for n in together) for side, choose in ((0, min), (1, max)))
        shared.update(dict.fromkeys(together, (low, high)))
    return shared
