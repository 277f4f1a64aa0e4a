"""One range for tensors that are only moved: a concatenation of 8-bit numbers wants all its parts on one scale.

Where each part has its own, the quantiser puts an operation in front that rescales it: a pass over the tensor for
nothing. GhostNet has one in each of its modules.
"""

from pathlib import Path

from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet_converters.tflite.float_part import float_operations
from mobiledet_converters.tflite.ranges import Ranges

# what these read and write is the same numbers
MOVING = {"CONCATENATION", "SLICE", "STRIDED_SLICE", "SPLIT", "RESHAPE", "TRANSPOSE", "MAX_POOL_2D", "PAD"}


def share_ranges(path: Path, ranges: Ranges) -> Ranges:
    """Widen the ranges of tensors that are concatenated to that of the result, through everything that only moves them.

    Args:
        path: the float .tflite file.
        ranges: of its tensors.
    """
    model = read_model(path)
    apart = float_operations(model)
    graph = model.subgraphs[0]
    names = [(tensor.name or b"").decode() for tensor in graph.tensors]
    group = {name: name for name in ranges}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for operation in graph.operators:
        moved = [names[i] for i in (*operation.inputs, *operation.outputs) if i >= 0 and names[i] in group]
        if str(opcode_to_name(model, operation.opcodeIndex)) in MOVING and not apart & set(moved):
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
