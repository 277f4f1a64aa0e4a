"""A small flatbuffer writer for tables without generated code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import flatbuffers
import numpy as np

Value: TypeAlias = "str | Byte | UInt | Table | np.ndarray | list[str] | list[Table]"


@dataclass(frozen=True)
class Byte:
    """An 8-bit scalar: an enumeration, or the type of a union."""

    value: int


@dataclass(frozen=True)
class UInt:
    """An unsigned 32-bit scalar."""

    value: int


@dataclass(frozen=True)
class Table:
    """Values by field number: the position in the schema's declaration, where a union counts twice, type then value."""

    fields: Mapping[int, Value]


Scalar = Byte | UInt


def write_table(root: Table, identifier: bytes) -> bytes:
    """The flatbuffer of a root table.

    Args:
        root: with strings, ``Byte``, ``UInt``, vectors of float32 or uint32, tables, lists of strings and of tables.
        identifier: the file identifier, four bytes.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, root), file_identifier=identifier)
    return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, value: Value) -> int:
    """Write the value that a field refers to, children first, and return its offset."""
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, np.ndarray):
        return int(builder.CreateNumpyVector(value))
    if isinstance(value, list):
        items = [_write(builder, item) for item in value]
        builder.StartVector(4, len(items), 4)
        for offset in reversed(items):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())
    assert isinstance(value, Table)
    offsets = {f: _write(builder, content) for f, content in value.fields.items() if not isinstance(content, Scalar)}
    builder.StartObject(max(value.fields, default=-1) + 1)
    for field, content in value.fields.items():
        if isinstance(content, Byte):
            builder.PrependInt8Slot(field, content.value, 0)
        elif isinstance(content, UInt):
            builder.PrependUint32Slot(field, content.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field, offsets[field], 0)
    return int(builder.EndObject())
