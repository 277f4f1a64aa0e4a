"""Graphs of TensorFlow in all the forms that they come in; damaged ones are told."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from mobiledet.errors import UserError
from mobiledet.graph_def import read_graph

NAME = "ssd_mobilenet_v1"


def test_forms_hold_the_same_constants(frozen_graphs: Path, tmp_path: Path) -> None:
    frozen = frozen_graphs / f"{NAME}.pb"
    expected = read_graph(frozen).constants()
    assert sum(value.size for value in expected.values()) > 6_000_000
    with tarfile.open(tmp_path / "zoo.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(frozen, "ssd_mobilenet_v1_coco/frozen_inference_graph.pb")
    saved = frozen_graphs / NAME
    for path in (saved, saved / "saved_model", saved / "saved_model" / "saved_model.pb", tmp_path / "zoo.tar.gz"):
        found = read_graph(path).constants()
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[name], value) for name, value in expected.items())


def message(number: int, content: bytes) -> bytes:
    """A field of bytes, at most 127."""
    return bytes([number << 3 | 2, len(content)]) + content


def node(name: bytes, op: bytes, attribute: bytes = b"") -> bytes:
    value = message(5, message(1, b"value") + message(2, attribute)) if attribute else b""
    return message(1, message(1, name) + message(2, op) + value)


def constant(tensor: bytes) -> bytes:
    return node(b"c", b"Const", message(8, tensor))


FLOAT = b"\x08\x01"
SHAPE_2 = message(2, message(2, b"\x08\x02"))


def test_short_lists_of_values(tmp_path: Path) -> None:
    path = tmp_path / "x.pb"
    value = np.float32(1.5).tobytes()
    for content in (message(4, value * 2), message(5, value * 2), message(5, value), b"\x2d" + value):
        path.write_bytes(constant(FLOAT + SHAPE_2 + content))
        found = read_graph(path).constant("c")
        assert found is not None
        assert found.tolist() == [1.5, 1.5]
    path.write_bytes(constant(b"\x08\x03" + message(7, b"\x96\x01")))  # one integer without a shape
    assert read_graph(path).constants()["c"].tolist() == 150


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (node(b"v", b"VariableV2"), "is not frozen: the weights of 1 variables, such as v,"),
        (node(b"x", b"Identity") * 2, "two nodes are called x"),
        (message(1, message(1, b"x")), "a node has no name or no operation"),
        (message(1, b"\x0a\x05abc"), "it is cut off"),
        (b"\x0a", "it is cut off"),
        (b"\xff" * 20, "longer than 64 bits"),
        (b"\x00\x01", "a field without a number"),
        (b"\x0f\x01", "a field of the unknown kind 7"),
        (message(1, message(1, b"\xff\xfe") + message(2, b"x")), "is not a graph of TensorFlow"),
        (b"\x08\x01\x12\x00", "a saved model without a graph"),
    ],
)
def test_damaged_graphs(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        read_graph(tmp_path / "x.pb")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (FLOAT + SHAPE_2 + message(4, b"\x00" * 7), "constant c cannot be read"),
        (FLOAT + SHAPE_2, "it has 0 values for the shape"),
        (FLOAT + SHAPE_2 + message(4, b"\x00" * 12), "it has 3 values for the shape"),
        (FLOAT + message(2, message(2, b"\x08" + b"\xff" * 9 + b"\x01")) + message(4, b"\x00" * 4), "makes no sense"),
        (FLOAT + message(2, message(2, b"\x08\xff\xff\xff\xff\x0f") * 4) + message(4, b"\x00" * 4), "makes no sense"),
    ],
)
def test_damaged_constants(tensor: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(constant(tensor))
    with pytest.raises(UserError, match=reason):
        read_graph(tmp_path / "x.pb").constants()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.pb", "no file at"),
        ("x.tar.gz", "cannot read .*not a gzip file"),
        ("folder", "holds no frozen_inference_graph.pb"),
    ],
)
def test_no_graph(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.tar.gz").write_bytes(b"text")
    with pytest.raises(UserError, match=reason) as error:
        read_graph(tmp_path / name)
    assert "\n" not in str(error.value)
