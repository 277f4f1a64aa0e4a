"""Reads TensorFlow graphs that contain their weights, without TensorFlow: frozen graphs, saved models, and the archives
of the detection zoo.

A graph is a protocol buffer. Names, operations and inputs of nodes and the constants are read; nothing is run. Field
numbers are those of TensorFlow's graph.proto, node_def.proto, attr_value.proto, tensor.proto and saved_model.proto.
"""

import math
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.errors import UserError

MAX_FILE_BYTES = 1 << 30
MAX_NODES = 200_000
MAX_ELEMENTS = 1 << 27  # of a constant
FROZEN, SAVED = "frozen_inference_graph.pb", "saved_model.pb"
ARCHIVES = (".tar.gz", ".tgz")  # not .tar, which some scripts use for PyTorch files
VARIABLES = {"Variable", "VariableV2", "VarHandleOp"}
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# DataType -> NumPy type, and the field of a tensor proto that lists values of this type
TYPES = {1: ("<f4", 5), 2: ("<f8", 6), 3: ("<i4", 7), 9: ("<i8", 10)}


@dataclass(frozen=True)
class Node:
    """An operation of a graph.

    Attributes:
        op: type of the operation, such as ``Conv2D``.
        inputs: names of the input nodes, without the index of their output.
        attributes: encoded values by name.
    """

    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, bytes]


class Graph:
    """The nodes of a graph by name.

    Attributes:
        nodes: nodes by name, in the order of the file.
        source: the file, for error messages.
    """

    def __init__(self, nodes: dict[str, Node], source: Path) -> None:
        self.nodes = nodes
        self.source = source

    def constants(self) -> dict[str, np.ndarray]:
        """All numeric constants by name.

        Raises:
            UserError: a constant is damaged.
        """
        return {name: value for name in self.nodes if (value := self.constant(name)) is not None}

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a node, or None if it is not a numeric constant; identity operations are followed.

        Raises:
            UserError: the constant is damaged.
        """
        node = self.nodes.get(name)
        for _ in range(8):
            if node is None or node.op != "Identity" or not node.inputs:
                break
            node = self.nodes.get(node.inputs[0])
        if node is None or node.op != "Const" or "value" not in node.attributes:
            return None
        try:
            return _tensor(next(value for number, value in _fields(node.attributes["value"]) if number == 8))
        except (ValueError, StopIteration) as error:
            raise UserError(f"{self.source} is a damaged graph: constant {name} cannot be read ({error})") from error


def is_graph(path: Path) -> bool:
    """Whether a path looks like a TensorFlow graph, judged only by its name."""
    return path.is_dir() or path.suffix == ".pb" or path.name.endswith(ARCHIVES)


def read_graph(path: Path) -> Graph:
    """Read a graph.

    Args:
        path: a frozen graph, a saved model (file or folder), or an archive of the detection zoo.

    Raises:
        UserError: there is no graph, it is damaged, or it does not contain its weights.
    """
    try:
        content = _content(path)
        nodes = _nodes(_graph_of_saved_model(content) or content)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    except ValueError as error:
        raise UserError(f"{path} is not a graph of TensorFlow: {error}") from error
    variables = [name for name, node in nodes.items() if node.op in VARIABLES]
    if variables:
        raise UserError(
            f"{path} is not frozen: the weights of {len(variables)} variables, such as {variables[0]}, are outside the "
            f"graph; give the {FROZEN} of the detection zoo, or freeze it with TensorFlow"
        )
    return Graph(nodes, path)


def _content(path: Path) -> bytes:
    if path.is_dir():
        inside = [path / name for name in (FROZEN, SAVED, f"saved_model/{SAVED}") if (path / name).is_file()]
        if not inside:
            raise UserError(f"{path} holds no {FROZEN} and no {SAVED}")
        path = inside[0]
    if not path.is_file():
        raise UserError(f"no file at {path}")
    if path.name.endswith(ARCHIVES):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile() and member.name.rpartition("/")[2] == FROZEN:
                    _require(member.size <= MAX_FILE_BYTES, f"its {FROZEN} is larger than {MAX_FILE_BYTES >> 20} MiB")
                    file = archive.extractfile(member)
                    assert file is not None, "a regular file"
                    return file.read()
        raise UserError(f"{path} holds no {FROZEN}")
    _require(path.stat().st_size <= MAX_FILE_BYTES, f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
    return path.read_bytes()


def _graph_of_saved_model(content: bytes) -> bytes | None:
    """The encoded graph in a saved model; None for a bare graph, which begins with a node instead of a version."""
    if content[:1] != b"\x08":  # field 1 as a varint: the version of a saved model
        return None
    for number, meta_graph in _fields(content):
        if number == 2 and isinstance(meta_graph, bytes):
            for inner, graph in _fields(meta_graph):
                if inner == 2 and isinstance(graph, bytes):
                    return graph
    raise ValueError("a saved model without a graph")


def _nodes(content: bytes) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for number, value in _fields(content):
        if number == 1:
            name, node = _node(_bytes(value))
            _require(name not in nodes, f"two nodes are called {name[:80]}")
            nodes[name] = node
            _require(len(nodes) <= MAX_NODES, f"it has more than {MAX_NODES} nodes")
    _require(bool(nodes), "it has no node")
    return nodes


def _node(content: bytes) -> tuple[str, Node]:
    name, op, inputs, attributes = "", "", [], {}
    for number, value in _fields(content):
        if number == 1:
            name = _text(value)
        elif number == 2:
            op = _text(value)
        elif number == 3:
            inputs.append(_text(value).removeprefix("^").partition(":")[0])
        elif number == 5:
            entry = dict(_fields(_bytes(value)))
            attributes[_text(entry.get(1, b""))] = _bytes(entry.get(2, b""))
    _require(bool(name and op), "a node has no name or no operation")
    return name, Node(op, tuple(inputs), attributes)


def _tensor(content: Any) -> np.ndarray | None:
    """The value of a constant; None if it is not numeric."""
    values: dict[int, list[Any]] = {}
    for number, value in _fields(_bytes(content)):
        values.setdefault(number, []).append(value)
    kind = values.get(1, [0])[-1]
    if kind not in TYPES:
        return None
    name, listed = TYPES[kind]
    shape = [_size(dimension) for part in values.get(2, []) for dimension in _dimensions(_bytes(part))]
    count = math.prod(shape)
    _require(all(side >= 0 for side in shape) and count <= MAX_ELEMENTS, f"its shape {shape} makes no sense")
    if 4 in values:
        given = np.frombuffer(_bytes(values[4][-1]), name)
    else:
        given = np.array([number for part in values.get(listed, []) for number in _numbers(part, name)], name)
    if given.size == 1 or (0 < given.size < count):  # the last listed value is repeated
        given = np.concatenate((given[:count], np.full(max(0, count - given.size), given[-1], name)))
    _require(given.size == count, f"it has {given.size} values for the shape {shape}")
    return given.reshape(shape)


def _dimensions(content: bytes) -> Iterator[bytes]:
    return (_bytes(value) for number, value in _fields(content) if number == 2)


def _size(dimension: bytes) -> int:
    size = dict(_fields(dimension)).get(1, 0)
    _require(isinstance(size, int), "a side is no number")
    return _signed(size)


def _numbers(part: Any, name: str) -> list[Any]:
    """The numbers in a repeated field, packed or not."""
    if name.startswith("<f"):
        return np.frombuffer(_bytes(part), name).tolist()
    if isinstance(part, int):
        return [_signed(part)]
    numbers, place = [], 0
    while place < len(part):
        number, place = _varint(part, place)
        numbers.append(_signed(number))
    return numbers


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Field number and value of each field of a message; the value is an int for a varint, otherwise bytes.

    Raises:
        ValueError: the message is cut off or malformed.
    """
    place, end = 0, len(content)
    while place < end:
        key, place = _varint(content, place)
        number, kind = key >> 3, key & 7
        _require(number > 0, "a field without a number")
        if kind == VARINT:
            value, place = _varint(content, place)
            yield number, value
            continue
        if kind == BYTES:
            size, place = _varint(content, place)
        else:
            _require(kind in (FIXED32, FIXED64), f"a field of the unknown kind {kind}")
            size = 4 if kind == FIXED32 else 8
        _require(place + size <= end, "it is cut off")
        yield number, content[place : place + size]
        place += size


def _varint(content: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        _require(place < len(content), "it is cut off")
        byte = content[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & ((1 << 64) - 1), place
    raise ValueError("a number is longer than 64 bits")


def _bytes(value: Any) -> bytes:
    _require(isinstance(value, bytes), "a number where bytes belong")
    return bytes(value)


def _text(value: Any) -> str:
    return _bytes(value).decode("utf-8")  # a UnicodeDecodeError is a ValueError


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
