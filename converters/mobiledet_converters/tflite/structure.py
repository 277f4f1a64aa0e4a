"""Checks the structure of a written .tflite file, because converters may report success for an empty graph."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# prefixes: resource variables and incompletely converted graphs, which runtimes on phones do not support
FORBIDDEN = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "STABLEHLO_")
IMAGE_TYPES = (schema.TensorType.FLOAT32, schema.TensorType.UINT8)


@dataclass(frozen=True)
class Structure:
    """Facts about a .tflite file.

    Attributes:
        operations: number of operations of each kind.
        max_rank: largest number of dimensions of a tensor; many accelerators support at most 4.
    """

    operations: dict[str, int]
    max_rank: int


def check_structure(
    path: Path,
    spec: ModelSpec,
    convolutions: int,
    outputs: Mapping[str, tuple[int, ...]] | None = None,
    custom: str = "",
) -> Structure:
    """Read a file and check it against the network that it was converted from.

    Args:
        path: the .tflite file.
        spec: provides the shapes.
        convolutions: number of convolutions of the PyTorch network; the file must have at least as many.
        outputs: shapes of the outputs by name, in order; by default those of the spec.
        custom: the custom operation with which the file must end; by default it must have none.

    Raises:
        UserError: an input, an output, their order, a shape or an operation is wrong.
    """
    model = read_model(path)
    if len(model.subgraphs) != 1:
        raise UserError(f"the converter wrote a file with {len(model.subgraphs)} graphs instead of one")
    graph = model.subgraphs[0]
    operations = count_operations(model)
    last = model.operatorCodes[graph.operators[-1].opcodeIndex].customCode if graph.operators else None
    if (last or b"").decode() != custom or operations["CUSTOM"] != bool(custom):
        raise UserError(f"the converter wrote {operations['CUSTOM']} custom operations instead of {custom or 'none'}")
    forbidden = sorted(name for name in operations if name.startswith(FORBIDDEN))
    if forbidden:
        raise UserError(f"the converter wrote operations that runtimes on phones do not have: {', '.join(forbidden)}")
    found = sum(operations[name] for name in CONVOLUTIONS)
    if found < convolutions:
        raise UserError(f"the converter wrote {found} convolutions of the network's {convolutions}")
    _check_interface(model, spec, outputs or spec.output_shapes)
    dynamic = [_name(t) for t in graph.tensors if any(side < 0 for side in _signature(t))]
    if dynamic:
        raise UserError(f"the converter wrote tensors of variable shape, such as {dynamic[0]}")
    return Structure(dict(operations.most_common()), max(len(_shape(tensor)) for tensor in graph.tensors))


def count_operations(model: schema.ModelT) -> Counter[str]:
    """The number of operations of each kind in a model with one graph."""
    operators = model.subgraphs[0].operators
    return Counter(str(opcode_to_name(model, operator.opcodeIndex)) for operator in operators)


def _check_interface(model: schema.ModelT, spec: ModelSpec, outputs: Mapping[str, tuple[int, ...]]) -> None:
    """Check that there is one input ``image``, float32 or uint8, and the float32 outputs, in this order and shape."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    inputs = {"image": (1, spec.input.height, spec.input.width, 3)}
    for wanted, order, named in (
        (inputs, graph.inputs, signature.inputs),
        (outputs, graph.outputs, signature.outputs),
    ):
        names = {entry.tensorIndex: entry.name.decode() for entry in named}
        given = {names.get(index, "?"): _shape(graph.tensors[index]) for index in order}
        if list(given.items()) != list(wanted.items()):
            raise UserError(f"the converter wrote {given} instead of {wanted}")
        allowed = IMAGE_TYPES if wanted is inputs else IMAGE_TYPES[:1]
        if any(graph.tensors[index].type not in allowed for index in order):
            raise UserError(f"the converter wrote {', '.join(given)} in other types than float32")


def _shape(tensor: schema.TensorT) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor.shape) if tensor.shape is not None else ()


def _signature(tensor: schema.TensorT) -> tuple[int, ...]:
    return tuple(tensor.shapeSignature) if tensor.shapeSignature is not None else ()


def _name(tensor: schema.TensorT) -> str:
    return str((tensor.name or b"").decode())
