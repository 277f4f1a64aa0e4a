"""Smaller weights for a float .tflite file."""

from pathlib import Path

from ai_edge_quantizer import quantizer
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName


def write_float16(source: Path, target: Path) -> None:
    """Copy a float32 file with the weights of its convolutions in float16.

    Each weight gets a DEQUANTIZE operation, which the runtime folds on loading: a CPU computes in 32 bits, a GPU in 16
    as it does with any float file. Row lookups are left alone: their table is the anchors, whose rounding would move
    boxes.
    """
    work = quantizer.Quantizer(str(source))
    for operation in (
        TFLOperationName.CONV_2D,
        TFLOperationName.DEPTHWISE_CONV_2D,
        TFLOperationName.CONV_2D_TRANSPOSE,
        TFLOperationName.FULLY_CONNECTED,
    ):
        work.add_weight_only_config(
            regex=".*",
            operation_name=operation,
            num_bits=16,
            granularity=QuantGranularity.TENSORWISE,
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )
    work.quantize().export_model(str(target), overwrite=True)
