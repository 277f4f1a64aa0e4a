"""The operations of a detector that must compute in floats: decoding, suppression, selection of proposals."""

import re

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name

# parts of the names of modules whose operations stay in floats (see ``wrapper.PostProcess``), and of the inputs and
# outputs of the graph, after which the last operations are named
FLOAT_NAMES = ("post_process", "PostProcess", "serving_default")
# Products of activations and row lookups cut regions out of feature maps; as integers they have no fast kernel: with
# them in 8 bits Faster R-CNN on ShuffleNetV2 0.5x took 9.2 ms instead of 3.4 ms in 32 bits.
FLOAT_KINDS = ("BATCH_MATMUL", "EMBEDDING_LOOKUP", "GATHER", "GATHER_ND")
# Operations between looked-up rows and regions: a mean of integers takes XNNPACK three times as long as one of floats.
# With these in 32 bits Faster R-CNN with FPN on ShuffleNetV2 1x took 18 ms instead of 29 ms.
AFTER_LOOKUP = ("MUL", "MEAN", "RESHAPE")
# From the image to the end of the first stage. A LeakyReLU is a separate operation, so its input is rounded as well as
# its output, and half of the input range is for negative values, of which a tenth remains. Early maps suffer most.
# NanoDet-Plus-m at 320 pixels, channels equalised, AP on 128 images of val2017 (float 0.351): all in 8 bits 0.320, with
# the stem in floats 0.335, with the first stage 0.326, with both 0.348; with only the second stage 0.316.
EARLY = re.compile(r"(graph|normalization|detector/backbone/(stem|pool|0))(/|;|$)")
BACKBONE = "detector/backbone/"
LAYOUT = ("RESHAPE", "CONCATENATION", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SQUEEZE", "EXPAND_DIMS")


def float_operations(model: schema.ModelT) -> set[str]:
    """Names of the output tensors of the operations that stay in floats in every file.

    These are the operations of the post-processing, and those before it that only rearrange the outputs of the head: in
    integers, they would force the boxes of all levels, or all scores, onto one scale.
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
    """Names of the output tensors of further operations that stay in floats if activations have 8 bits.

    These are the early ones of a backbone with LeakyReLU; for other backbones the set is empty.
    """
    graph = model.subgraphs[0]
    names = [(tensor.name or b"").decode() for tensor in graph.tensors]
    made = [(str(opcode_to_name(model, o.opcodeIndex)), names[tensor]) for o in graph.operators for tensor in o.outputs]
    if not any(kind == "LEAKY_RELU" and name.startswith(BACKBONE) for kind, name in made):
        return set()
    return {name for _, name in made if EARLY.match(name)}
