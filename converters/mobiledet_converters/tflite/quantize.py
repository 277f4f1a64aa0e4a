"""Quantises a float .tflite file: every precision is made from the one file that was converted."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model, write_model
from ai_edge_quantizer import quantizer, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName

from mobiledet.errors import UserError
from mobiledet_converters.tflite.float_part import early_operations, float_operations
from mobiledet_converters.tflite.ranges import Ranges
from mobiledet_converters.tflite.shared_ranges import share_ranges

WITH_WEIGHTS = (
    TFLOperationName.CONV_2D,
    TFLOperationName.DEPTHWISE_CONV_2D,
    TFLOperationName.CONV_2D_TRANSPOSE,
    TFLOperationName.FULLY_CONNECTED,
)
# The input consists of bytes: a scale of 1 represents it exactly.
IMAGE_RANGE = (0.0, 255.0)
# 16 bits have steps to spare, so that nothing that the calibration images have not shown need be cut off. Faster R-CNN
# on FD-MobileNet 0.25x, 16 images to calibrate with: 28 of 32 detections are PyTorch's in place of 14.
ROOM_OF_16_BITS = 4.0


def quantize(precision: str, source: Path, target: Path, ranges: Ranges, early_float: bool = True) -> None:
    """Copy a float32 file in another precision.

    Args:
        precision: a key of ``QUANTIZERS``.
        source: the float32 file.
        target: the file to write.
        ranges: ranges of its tensors, for precisions with integer activations; else empty.
        early_float: whether the first operations may stay in floats if 8 bits would cost too much accuracy, see
            ``early_operations``; the input image cannot have the type uint8 then.
    """
    work = quantizer.Quantizer(str(source))
    QUANTIZERS[precision](work, source)
    if precision == "int8" and early_float:
        _keep_float(work, early_operations(read_model(source)))
    if precision == "int16x8":
        ranges = {name: (ROOM_OF_16_BITS * low, ROOM_OF_16_BITS * high) for name, (low, high) in ranges.items()}
    values = _statistics(source, ranges) if ranges else None
    result = work.quantize(values, enable_progress_bar=False, enable_progress_report=False)
    result.export_model(str(target), overwrite=True)


def _float16(work: quantizer.Quantizer, source: Path) -> None:
    """Store the weights of convolutions in float16.

    Each weight gets a DEQUANTIZE operation, which the runtime folds on loading: a CPU computes in 32 bits, a GPU in 16
    bits, as with any float file. Row lookups are not changed: their table contains the anchors, and rounding these
    would move boxes.
    """
    for operation in WITH_WEIGHTS:
        work.add_weight_only_config(
            regex=".*",
            operation_name=operation,
            num_bits=16,
            granularity=QuantGranularity.TENSORWISE,
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )


def _int8_weights(work: quantizer.Quantizer, source: Path) -> None:
    """Store the weights of convolutions in 8 bits with a scale for each channel; they are computed with in floats."""
    for operation in WITH_WEIGHTS:
        work.add_weight_only_config(regex=".*", operation_name=operation, num_bits=8)


def _int8(work: quantizer.Quantizer, source: Path) -> None:
    """8-bit weights with a scale for each channel, and 8-bit activations with a scale for each tensor."""
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    _keep_float_part(work, source)


def _int16x8(work: quantizer.Quantizer, source: Path) -> None:
    """8-bit weights with a scale for each channel, and 16-bit activations with a scale for each tensor."""
    work.load_quantization_recipe(recipe.static_wi8_ai16())
    _keep_float_part(work, source)


QUANTIZERS: dict[str, Callable[[quantizer.Quantizer, Path], None]] = {
    "float16": _float16,
    "int8-weights": _int8_weights,
    "int8": _int8,
    "int16x8": _int16x8,
}


def _keep_float_part(work: quantizer.Quantizer, source: Path) -> None:
    """Keep the operations that must compute in floats, and the inputs and outputs of the graph."""
    _keep_float(work, float_operations(read_model(source)))
    for operation in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        work.update_quantization_recipe(".*", operation, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _keep_float(work: quantizer.Quantizer, outputs: set[str]) -> None:
    """Do not quantise the operations that write the named tensors."""
    if not outputs:
        return
    names = "|".join(re.escape(name) for name in sorted(outputs))
    # the quantiser identifies an operation by the names of its outputs, each followed by a semicolon
    work.update_quantization_recipe(
        f"(^|;)({names})(;|$)", TFLOperationName.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE
    )


def _statistics(source: Path, ranges: Ranges) -> dict[str, dict[str, np.ndarray]]:
    """Ranges in the format of the quantiser's own calibration."""
    graph = read_model(source).subgraphs[0]
    (image,) = (graph.tensors[index].name.decode() for index in graph.inputs)
    ranks = {tensor.name.decode(): len(tensor.shape) if tensor.shape is not None else 0 for tensor in graph.tensors}
    return {
        name: {"min": np.full([1] * ranks[name], low, np.float32), "max": np.full([1] * ranks[name], high, np.float32)}
        for name, (low, high) in share_ranges(source, {**ranges, image: IMAGE_RANGE}).items()
    }


def use_uint8_input(path: Path) -> None:
    """Change the input image of a file with integer activations from float32 to uint8, in place.

    Raises:
        UserError: the first operation does not quantise the image.
    """
    model = read_model(path)
    graph = model.subgraphs[0]
    (index,) = graph.inputs
    readers = [operation for operation in graph.operators if index in operation.inputs]
    kinds = {str(opcode_to_name(model, operation.opcodeIndex)) for operation in readers}
    if kinds != {"QUANTIZE"}:
        raise UserError(f"the input cannot be uint8: {', '.join(sorted(kinds))} reads it as floats")
    image = graph.tensors[index]
    image.type = schema.TensorType.UINT8
    image.quantization = schema.QuantizationParametersT()
    image.quantization.scale, image.quantization.zeroPoint = [1.0], [0]
    write_model(model, path)
