"""Tensors that are concatenated have one range, others keep theirs."""

import numpy as np
import torch  # noqa: F401  # before LiteRT's tools, whose libraries torch's do not bear
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet.bundle import Bundle
from mobiledet_converters.tflite.float_part import float_operations
from mobiledet_converters.tflite.shared_ranges import MOVING, share_ranges


def test_parts_of_a_concatenation_share_the_range_of_the_whole(exported_bundle: Bundle) -> None:
    path = exported_bundle.root / "model.float32.tflite"
    model = read_model(path)
    graph = model.subgraphs[0]
    names = [(tensor.name or b"").decode() for tensor in graph.tensors]
    rng = np.random.default_rng(0)
    computed = [names[i] for operation in graph.operators for i in operation.outputs]
    ranges = {name: (-float(rng.random()), float(rng.random())) for name in computed}
    shared = share_ranges(path, ranges)
    assert shared.keys() == ranges.keys()
    apart, concatenations, moved = float_operations(model), 0, set()
    for operation in graph.operators:
        kind = str(opcode_to_name(model, operation.opcodeIndex))
        tensors = [names[i] for i in (*operation.inputs, *operation.outputs) if names[i] in ranges]
        if kind == "CONCATENATION" and not apart & set(tensors):
            concatenations += 1
            assert len({shared[name] for name in tensors}) == 1
            low, high = shared[tensors[0]]
            assert all(low <= ranges[name][0] and ranges[name][1] <= high for name in tensors)
        if kind in MOVING:
            moved |= set(tensors)
    assert concatenations > 10
    assert all(shared[name] == ranges[name] for name in ranges.keys() - moved)
