"""The writer against generated code: a TFLite model of its own, read by the runtime's schema."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mobiledet_converters.tflite.flatbuffer import Byte, Table, UInt, write_table


def test_generated_code_reads_what_is_written() -> None:
    tensor = Table({0: np.array([1, 2, 3], np.int32), 1: Byte(9), 2: UInt(7), 3: "größer"})
    empty = Table({})
    content = write_table(Table({0: UInt(3), 2: [Table({0: [tensor, empty]})], 3: "a model"}), b"TFL3")
    assert schema.Model.ModelBufferHasIdentifier(content, 0)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    assert (model.version, model.description, model.operatorCodes) == (3, b"a model", None)
    first, second = model.subgraphs[0].tensors
    assert list(first.shape) == [1, 2, 3]
    assert (first.type, first.buffer, first.name.decode()) == (9, 7, "größer")
    assert (second.shape, second.type, second.buffer, second.name) == (None, 0, 0, None)


def test_lists_of_texts_keep_their_order() -> None:
    metadata = Table({0: "subgraph", 2: [Table({4: ["never read as text"]})]})
    assert b"never read as text" in write_table(metadata, b"TFL3")
