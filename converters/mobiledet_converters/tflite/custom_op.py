"""Post-processing by TFLite_Detection_PostProcess, a custom operation that LiteRT and MediaPipe include.

It is appended to a file whose graph returns scores and box offsets. It is only an option because it runs only on the
CPU and does not clip boxes to the image; but the graph is smaller, and more candidates do not take longer.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import read_model, write_model
from flatbuffers import flexbuffers

from mobiledet.spec import ModelSpec

if TYPE_CHECKING:
    from mobiledet_converters.wrapper import AnchorTable

NAME = b"TFLite_Detection_PostProcess"


def append_post_process(source: Path, target: Path, spec: ModelSpec, table: "AnchorTable") -> None:
    """Copy a file and append the operation, which turns the outputs ``deltas`` and ``scores`` into detections.

    Args:
        source: the .tflite file.
        target: the file to write.
        spec: provides the suppression settings and output shapes.
        table: the anchors.
    """
    model = read_model(source)
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    given = {entry.name.decode(): entry.tensorIndex for entry in signature.outputs}

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(table.yxhw.astype("<f4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    anchors = _add_tensor(graph, b"anchors", table.yxhw.shape, len(model.buffers) - 1)
    outputs = [_add_tensor(graph, name.encode(), shape, 0) for name, shape in spec.output_shapes.items()]

    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = schema.BuiltinOperator.CUSTOM, 32, NAME
    code.version = 1
    model.operatorCodes.append(code)
    operation = schema.OperatorT()
    operation.opcodeIndex = len(model.operatorCodes) - 1
    operation.inputs, operation.outputs = [given["deltas"], given["scores"], anchors], outputs
    operation.customOptions = np.frombuffer(_options(spec, table), np.uint8)
    graph.operators.append(operation)

    graph.outputs = outputs
    signature.outputs = []
    for name, index in zip(spec.output_shapes, outputs, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), index
        signature.outputs.append(entry)
    write_model(model, target)


def _add_tensor(graph: schema.SubGraphT, name: bytes, shape: tuple[int, ...], buffer: int) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, np.array(shape, np.int32), buffer
    tensor.type = schema.TensorType.FLOAT32
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _options(spec: ModelSpec, table: "AnchorTable") -> bytes:
    x, y, width, height = table.coder_weights
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, count in (
            ("max_detections", spec.nms.max_detections),
            ("max_classes_per_detection", 1),
            ("detections_per_class", spec.nms.max_detections),
            ("num_classes", spec.num_classes),
        ):
            builder.Int(name, count)
        builder.Bool("use_regular_nms", True)  # class by class, as the other forms
        for name, value in (
            ("nms_score_threshold", spec.nms.score),
            ("nms_iou_threshold", spec.nms.iou),
            ("x_scale", x),
            ("y_scale", y),
            ("w_scale", width),
            ("h_scale", height),
        ):
            builder.Float(name, value)
    return bytes(builder.Finish())
