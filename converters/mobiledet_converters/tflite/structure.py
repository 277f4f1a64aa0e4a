"""What a written .tflite file must look like, checked on the file itself: converters have been seen to succeed with
an empty graph."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# of resource variables and of graphs that the converter left half-way: runtimes on phones do not take them
FORBIDDEN = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "STABLEHLO_")
IMAGE_TYPES = (schema.TensorType.FLOAT32, schema.TensorType.UINT8)


@dataclass(frozen=True)
class Structure:
    """What is in a .tflite file.

    Attributes:
        operations: how many of each kind.
        max_rank: most dimensions of a tensor; many accelerators take at most 4.
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
    """Read the file and hold it against the network that it was made from.

    Args:
        path: the .tflite file.
        spec: gives the shapes.
        convolutions: of the PyTorch network; the file must hold at least as many.
        outputs: shapes of the outputs by name, in order; by default those of the spec.
        custom: the custom operation that the file must end with; by default it must have none.

    Raises:
        UserError: an input, an output or its place, a shape or an operation is not as it must be.
    """
    model = read_model(path)
    if len(model.subgraphs) != 1:
        raise UserError(f"the converter wrote a file with {len(model.subgraphs)} graphs instead of one")
    graph = model.subgraphs[0]
    operations = count_operations(model)
    last = model.operatorCodes[graph.operators[-1].opcodeIndex].customCode if graph.operators else None
    if (last or b"").decode() != custom or operations["CUSTOM"] != bool(custom):
        raise UserError(f"the converter wrote {operations['CUSTOM']} custom operations; {custom or 'none'} belongs")
    forbidden = sorted(name for name in operations if name.startswith(FORBIDDEN))
    if forbidden:
        raise UserError(f"the converter wrote operations that runtimes on phones do not have: {', '.join(forbidden)}")
    found = sum(operations[name] for name in CONVOLUTIONS)
    if found < convolutions:
        raise UserError(f"the converter wrote {found} convolutions of the network's {convolutions}")
    _check_interface(model, spec, outputs or spec.output_shapes)
    dynamic = [_name(t) for t in graph.tensors if any(side < 0 for side in _signature(t))]
    if dynamic:
        raise UserError(f"the converter wrote tensors of changing shape, such as {dynamic[0]}")
    return Structure(dict(operations.most_common()), max(len(_shape(tensor)) for tensor in graph.tensors))


def count_operations(model: schema.ModelT) -> Counter[str]:
    """How many operations of each kind a model of one graph has."""
    operators = model.subgraphs[0].operators
    return Counter(str(opcode_to_name(model, operator.opcodeIndex)) for operator in operators)


def _check_interface(model: schema.ModelT, spec: ModelSpec, outputs: Mapping[str, tuple[int, ...]]) -> None:
    """One input ``image``, floats or bytes; the float outputs by name, in this order, of constant shape."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    inputs = {"image": (1, spec.input.height, spec.input.width, 3)}
    for wanted, order, named in (
        (inputs, graph.inputs, signature.inputs),
        (outputs, graph.outputs, signature.outputs),
    ):
        names = {entry.tensorIndex: entry.name.decode() for entry in named}
        given = {names.get(index, "?"): _shape(graph.tensors[index]) for index in order}
        if list(given.items()) != list(wanted.items()):
            raise UserError(f"the converter wrote {given} where {wanted} belongs")
        allowed = IMAGE_TYPES if wanted is inputs else IMAGE_TYPES[:1]
        if any(graph.tensors[index].type not in allowed for index in order):
            raise UserError(f"the converter wrote {', '.join(given)} in other types than float32")


def _shape(tensor: schema.TensorT) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor.shape) if tensor.shape is not None else ()


def _signature(tensor: schema.TensorT) -> tuple[int, ...]:
    return tuple(tensor.shapeSignature) if tensor.shapeSignature is not None else ()


def _name(tensor: schema.TensorT) -> str:
    return str((tensor.name or b"").decode())
