"""The operations of a detector that must be computed in floats: decoding, suppression, the choice of proposals."""

import re

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name

# in the names of the modules whose operations stay (see ``wrapper.PostProcess``), and of the graph's own inputs and
# outputs: the last operations are named after those
FLOAT_NAMES = ("post_process", "PostProcess", "serving_default")
# Products of activations and row lookups cut regions out of feature maps; as integers they have no fast kernel: with
# them in 8 bits Faster R-CNN on ShuffleNetV2 0.5x took 9.2 ms in place of 3.4 ms in 32.
FLOAT_KINDS = ("BATCH_MATMUL", "EMBEDDING_LOOKUP", "GATHER", "GATHER_ND")
# What becomes of looked-up rows until they are regions: a mean of integers takes XNNPACK three times as long as one of
# floats. With these in 32 bits Faster R-CNN with FPN on ShuffleNetV2 1x took 18 ms in place of 29.
AFTER_LOOKUP = ("MUL", "MEAN", "RESHAPE")
# From the image to the end of the first stage. A LeakyReLU is an operation of its own: what it takes is rounded besides
# what it gives, and half of that range is negative numbers, of which a tenth is left. Early maps suffer most.
# NanoDet-Plus-m at 320 pixels, channels equalised, AP on 128 pictures of val2017 (float 0.351): all in 8 bits 0.320,
# with the stem in floats 0.335, with the first stage 0.326, with both 0.348; with the second stage alone 0.316.
EARLY = re.compile(r"(graph|normalization|detector/backbone/(stem|pool|0))(/|;|$)")
BACKBONE = "detector/backbone/"
LAYOUT = ("RESHAPE", "CONCATENATION", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SQUEEZE", "EXPAND_DIMS")


def float_operations(model: schema.ModelT) -> set[str]:
    """Names of the output tensors of the operations that stay float in every file.

    These are the operations of the post-processing, and those before it that only lay out what the head gives: as
    integers they would force the boxes of all levels, or all scores, onto the scale of the largest.
    """
    graph = model.subgraphs[0]
    names = [(tensor.name or b"").decode() for tensor in graph.tensors]
    consumers: dict[int, list[int]] = {}
    for number, operation in enumerate(graph.operators):
        for tensor in operation.inputs:
            consumers.setdefault(int(tensor), []).append(number)
    stays: set[int] = set()
    for number, operation in reversed(list(enumerate(graph.operators))):
        readers = [reader for tensor in operation.outputs for reader in consumers.get(int(tensor), [])]
        kind = str(opcode_to_name(model, operation.opcodeIndex))
        is_named = any(part in names[tensor] for tensor in operation.outputs for part in FLOAT_NAMES)
        is_between = kind in LAYOUT and bool(readers) and stays.issuperset(readers)
        if is_named or is_between or kind in FLOAT_KINDS:
            stays.add(number)
    looked_up: set[int] = set()
    for number, operation in enumerate(graph.operators):
        kind = str(opcode_to_name(model, operation.opcodeIndex))
        if kind == "EMBEDDING_LOOKUP" or (kind in AFTER_LOOKUP and looked_up.intersection(map(int, operation.inputs))):
            looked_up.update(map(int, operation.outputs))
            stays.add(number)
    return {names[tensor] for number in stays for tensor in graph.operators[number].outputs}


def early_operations(model: schema.ModelT) -> set[str]:
    """Names of the output tensors of the operations that stay float besides where activations have 8 bits: the early
    ones of a backbone with LeakyReLU, else none."""
    graph = model.subgraphs[0]
    names = [(tensor.name or b"").decode() for tensor in graph.tensors]
    made = [(str(opcode_to_name(model, o.opcodeIndex)), names[tensor]) for o in graph.operators for tensor in o.outputs]
    if not any(kind == "LEAKY_RELU" and name.startswith(BACKBONE) for kind, name in made):
        return set()
    return {name for _, name in made if EARLY.match(name)}
