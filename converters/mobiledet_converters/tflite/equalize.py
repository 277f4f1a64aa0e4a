"""Equalises the channels of a float .tflite file before its quantisation.

See ``mobiledet_converters.equalization``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model, write_model

from mobiledet_converters.equalization import channel_factors, sample
from mobiledet_converters.tflite.ranges import PreservedTensors

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
# allowed in between: channelwise operations that commute with positive factors
HOMOGENEOUS = ("LEAKY_RELU", "PAD")
FUSED = (schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU)


class Pair(NamedTuple):
    """Two convolutions with nothing but activations between them.

    Attributes:
        first, second: operators of the graph, the second one depthwise.
        between: the tensor whose range determines the scale of the second one's input.
    """

    first: schema.OperatorT
    second: schema.OperatorT
    between: int


def has_leaky_relu(path: Path) -> bool:
    """Whether a .tflite file has a LeakyReLU."""
    model = read_model(path)
    return any(str(opcode_to_name(model, o.opcodeIndex)) == "LEAKY_RELU" for o in model.subgraphs[0].operators)


def find_pairs(model: schema.ModelT) -> list[Pair]:
    """All pairs of a graph whose tensors in between have no other readers."""
    graph = model.subgraphs[0]
    maker = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    readers: dict[int, int] = {}
    for operator in graph.operators:
        for tensor in operator.inputs:
            readers[int(tensor)] = readers.get(int(tensor), 0) + 1

    def kind(operator: schema.OperatorT) -> str:
        return str(opcode_to_name(model, operator.opcodeIndex))

    pairs = []
    for second in graph.operators:
        if kind(second) != "DEPTHWISE_CONV_2D":
            continue
        tensor = between = int(second.inputs[0])
        while readers[tensor] == 1 and tensor in maker and kind(maker[tensor]) in HOMOGENEOUS:
            if kind(maker[tensor]) == "LEAKY_RELU":
                between = tensor
            tensor = int(maker[tensor].inputs[0])
        first = maker.get(tensor)
        if first is None or readers[tensor] != 1 or kind(first) not in CONVOLUTIONS:
            continue
        if first.builtinOptions.fusedActivationFunction in FUSED:
            pairs.append(Pair(first, second, between))
    return pairs


def equalize(
    source: Path, target: Path, images: np.ndarray, on_progress: Callable[[int], None] = lambda _: None
) -> int:
    """Copy a float file with equalised channels; it computes the same up to rounding.

    Args:
        source: the float .tflite file.
        target: the file to write.
        images: N x height x width x 3, RGB in 0..255; some of them are used.
        on_progress: called with the number of finished images.

    Returns:
        the number of changed pairs of convolutions.
    """
    model = read_model(source)
    pairs = find_pairs(model)
    if pairs:
        tensors = PreservedTensors.open(source)
        largest: list[list[np.ndarray]] = [[] for _ in pairs]
        for done, image in enumerate(sample(images), start=1):
            tensors.run(image)
            for pair, values in zip(pairs, largest, strict=True):
                activation = tensors.interpreter.get_tensor(pair.between)
                values.append(np.abs(activation).reshape(-1, activation.shape[-1]).max(0))
            on_progress(done)
        for pair, values in zip(pairs, largest, strict=True):
            _scale(model, pair, channel_factors(np.array(values)))
    write_model(model, target)
    return len(pairs)


def _scale(model: schema.ModelT, pair: Pair, factors: np.ndarray) -> None:
    """Multiply the channels of the first convolution, and divide the second one's weights."""
    weights, bias = (int(index) for index in pair.first.inputs[1:3])
    is_depthwise = len(_values(model, weights)) == 1 and len(factors) > 1
    _replace(model, weights, lambda w: w * (factors if is_depthwise else factors.reshape(-1, 1, 1, 1)))
    _replace(model, bias, lambda b: b * factors)
    _replace(model, int(pair.second.inputs[1]), lambda w: w / factors)


def _values(model: schema.ModelT, index: int) -> np.ndarray:
    tensor = model.subgraphs[0].tensors[index]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), "<f4").reshape(tensor.shape)


def _replace(model: schema.ModelT, index: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Give a constant other values, in a buffer of its own: several tensors may share one."""
    values = change(_values(model, index)).astype("<f4")
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    model.subgraphs[0].tensors[index].buffer = len(model.buffers) - 1
