"""Reads the functions and operations of an asset as plain records.

Run as a process of its own, ``python -m mobiledet_converters.coreai.read ASSET``, it prints them as JSON: the framework
must not share a process with others.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobiledet.devices.coreai import require_tested
from mobiledet.devices.coreai_process import METADATA, check_whole
from mobiledet.devices.served import why_ended
from mobiledet.errors import UserError

DIALECT = re.compile(r"^coreai\.(decomposable\.)?")
CALLEE = re.compile(r"^.*@([\w.]+?)(_[a-z]{8})?\b.*$")  # its name ends in random letters
TENSOR = re.compile(r"^tensor<((?:(?:\d+|\?)x)*)([a-z]\w*)")


@dataclass(frozen=True)
class Tensor:
    """Shape and type, such as ``f16``, of a value; -1 is a dimension that is known only at run time."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        index: its number in the program.
        kind: such as ``conv2d``; for the call of an inner graph ``invoke`` and its name.
        inputs, outputs: its operands and results; values that are not arrays are left out.
        sources: indices of the operations that its inputs come from.
    """

    index: int
    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Asset:
    """The content of an asset.

    Attributes:
        name: name of its folder.
        inputs, outputs: for each function, tensors by name.
        metadata: its metadata, as JSON values.
        operations: operations of all functions, without constants.
    """

    name: str
    inputs: dict[str, dict[str, Tensor]]
    outputs: dict[str, dict[str, Tensor]]
    metadata: dict[str, Any]
    operations: tuple[Operation, ...]


def read_asset(path: Path) -> Asset:
    """Read an asset in this process, which must not have loaded another framework.

    Raises:
        UserError: the asset is damaged or cannot be read.
    """
    require_tested("coreai-core")
    check_whole(path)
    from coreai.authoring import AIModelAsset

    try:
        module = AIModelAsset.load(path).program._module._mlir_module
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({' '.join(str(error).split())[:300]}); export it again") from error
    inputs, outputs = {}, {}
    operations: list[Operation] = []
    for graph in module.body.operations:
        if graph.operation.name != "coreai.graph":
            continue
        function = str(graph.attributes["sym_name"]).strip('"')
        function_type: Any = graph.attributes["function_type"]
        kinds = function_type.value
        inputs[function] = _named(graph.attributes["arg_attrs"], kinds.inputs)
        outputs[function] = _named(graph.attributes["res_attrs"], kinds.results)
        operations += _operations(graph.operation, len(operations))
    metadata = json.loads((path / METADATA).read_text(encoding="utf-8"))
    return Asset(path.name, inputs, outputs, metadata, tuple(operations))


def read_in_process(path: Path) -> Asset:
    """Read an asset in a process of its own.

    Raises:
        UserError: the runtime is not installed, or the asset is damaged or cannot be read.
    """
    done = subprocess.run([sys.executable, "-m", __spec__.name, str(path)], capture_output=True, text=True)
    if done.returncode:
        reason = why_ended(done.stderr)
        raise UserError(reason if done.returncode == 2 else f"{path} cannot be read ({reason}); export it again")
    values = json.loads(done.stdout)
    tables = {role: {f: _tensors(named) for f, named in values[role].items()} for role in ("inputs", "outputs")}
    operations = [
        Operation(o["index"], o["kind"], _list(o["inputs"]), _list(o["outputs"]), tuple(o["sources"]))
        for o in values["operations"]
    ]
    return Asset(values["name"], tables["inputs"], tables["outputs"], values["metadata"], tuple(operations))


def _operations(graph: Any, start: int) -> list[Operation]:
    found: list[Operation] = []
    places: dict[Any, int] = {}
    for operation in _walk(graph):
        kind = DIALECT.sub("", operation.name)
        if kind in ("constant", "output", "yield"):
            continue
        if kind == "invoke":
            callee = CALLEE.match(str(operation.attributes["callee"]))
            kind += f" {callee[1] if callee else 'unknown'}"
        sources = tuple(dict.fromkeys(places[v] for v in operation.operands if v in places))
        index = start + len(found)
        places.update(dict.fromkeys(operation.results, index))
        found.append(Operation(index, kind, _values(operation.operands), _values(operation.results), sources))
    return found


def _walk(operation: Any) -> Iterator[Any]:
    for region in operation.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield inner.operation
                yield from _walk(inner.operation)


def _named(attributes: Any, kinds: Any) -> dict[str, Tensor]:
    # the inner graphs of composite operations have no names
    names = [str(a["coreai.name"]).strip('"') if "coreai.name" in a else str(i) for i, a in enumerate(attributes)]
    return {name: tensor for name, kind in zip(names, kinds, strict=True) if (tensor := _tensor(str(kind)))}


def _values(values: Any) -> tuple[Tensor, ...]:
    return tuple(tensor for value in values if (tensor := _tensor(str(value.type))))


def _tensor(kind: str) -> Tensor | None:
    match = TENSOR.match(kind)
    if match is None:
        return None
    return Tensor(tuple(-1 if side == "?" else int(side) for side in match[1].split("x")[:-1]), match[2])


def _tensors(named: dict[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(tuple(tensor["shape"]), tensor["dtype"]) for name, tensor in named.items()}


def _list(tensors: list[Any]) -> tuple[Tensor, ...]:
    return tuple(Tensor(tuple(tensor["shape"]), tensor["dtype"]) for tensor in tensors)


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(read_asset(Path(sys.argv[1])))))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
