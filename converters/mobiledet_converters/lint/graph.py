"""A .tflite file as lint rules see it: operations with their tensors and their places in the network."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet.errors import UserError

TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
POST_PROCESSING = "post_process"
BITS = {"float16": 16, "bfloat16": 16, "int16": 16, "int8": 8, "uint8": 8, "bool": 8, "int64": 64, "float64": 64}


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the file.

    Attributes:
        name: its name in the file.
        shape: its dimensions; -1 for a variable one.
        type: such as ``float32``.
        is_constant: whether the file contains its values.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    is_constant: bool

    @property
    def bytes(self) -> int:
        """Size of the values; an unknown dimension, -1, counts as one."""
        return abs(prod(self.shape)) * BITS.get(self.type, 32) // 8


@dataclass(frozen=True)
class Operation:
    """An operation of the file.

    Attributes:
        index: its number in the order of execution.
        kind: such as ``CONV_2D``; for a custom operation its name.
        is_custom: whether it is not one of LiteRT's built-in operations.
        inputs, outputs: its tensors.
        place: path of its module in the network, such as ``detector/backbone/stem/0``.
    """

    index: int
    kind: str
    is_custom: bool
    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]
    place: str

    @property
    def is_post_processing(self) -> bool:
        """Whether it belongs to box decoding or non-maximum suppression."""
        return POST_PROCESSING in self.place or self.is_custom

    @property
    def tensors(self) -> tuple[FileTensor, ...]:
        """Inputs, then outputs."""
        return self.inputs + self.outputs


class FileGraph:
    """The graph of a .tflite file.

    Args:
        path: the file.

    Raises:
        UserError: the file is not a .tflite file, or has several graphs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._model = read_model(path)
            (graph,) = self._model.subgraphs
            self._tensors = [self._tensor(tensor) for tensor in graph.tensors]
            self.operations = self._read_operations(graph.operators)
        except Exception as error:  # damaged bytes raise exceptions of many kinds in flatbuffers
            raise UserError(f"{path} cannot be read as a .tflite file of one graph") from error

    def _read_operations(self, operators: list[Any]) -> tuple[Operation, ...]:
        made, place = [], ""
        for index, operator in enumerate(operators):
            inputs, outputs = (
                tuple(self._tensors[i] for i in side if i >= 0) for side in (operator.inputs, operator.outputs)
            )
            code = self._model.operatorCodes[operator.opcodeIndex]
            custom = code.customCode.decode() if code.customCode else ""
            kind = custom or str(opcode_to_name(self._model, operator.opcodeIndex))
            named = next((t.name.partition(";")[0] for t in outputs if "/" in t.name or POST_PROCESSING in t.name), "")
            place = named or place  # the last operations have the names of the outputs: keep their predecessor's place
            made.append(Operation(index, kind, bool(custom), inputs, outputs, place))
        return tuple(made)

    @property
    def tensors(self) -> tuple[FileTensor, ...]:
        """All tensors of the graph, in the order of the file."""
        return tuple(self._tensors)

    def _tensor(self, tensor: Any) -> FileTensor:
        buffer = self._model.buffers[tensor.buffer]
        signature = tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape
        shape = tuple(int(side) for side in signature) if signature is not None else ()
        is_constant = buffer.data is not None and len(buffer.data) > 0
        name = tensor.name.decode() if tensor.name else ""
        return FileTensor(name, shape, TYPES.get(tensor.type, "unknown"), is_constant or bool(buffer.size))
