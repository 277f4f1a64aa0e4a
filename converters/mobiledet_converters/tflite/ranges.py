"""Measures the value ranges of the tensors of a float .tflite file on calibration images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.tools.flatbuffer_utils import read_model

from mobiledet_converters.calibration import SHARE

Ranges = dict[str, tuple[float, float]]  # tensor name -> lowest and highest value

# The padding of max pooling, minus infinity in some number format, is not a value of the network.
LARGEST = 3e38


@dataclass(frozen=True)
class PreservedTensors:
    """An interpreter that keeps every tensor of a run.

    Attributes:
        interpreter: LiteRT's interpreter without delegates, which would hide their internal tensors.
        names: names of the tensors, by index.
    """

    interpreter: Interpreter
    names: dict[int, str]

    @classmethod
    def open(cls, path: Path) -> "PreservedTensors":
        """Load a .tflite file."""
        interpreter = Interpreter(
            str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        return cls(interpreter, {d["index"]: d["name"] for d in interpreter.get_tensor_details()})

    def run(self, image: np.ndarray) -> None:
        """Run the file on a height x width x 3 image."""
        (detail,) = self.interpreter.get_input_details()
        self.interpreter.set_tensor(detail["index"], image[None].astype(detail["dtype"]))
        self.interpreter.invoke()


def measure_ranges(path: Path, images: np.ndarray, on_progress: Callable[[int], None] = lambda _: None) -> Ranges:
    """Run a float file on images and measure the range of every float tensor that it computes.

    Args:
        path: the .tflite file.
        images: N x height x width x 3, RGB in 0..255.
        on_progress: called with the number of finished images.
    """
    tensors = PreservedTensors.open(path)
    details = tensors.interpreter.get_tensor_details()
    graph = read_model(path).subgraphs[0]
    # not of constants: given the range of weights, the quantiser would use one scale for all channels
    computed = {int(index) for operation in graph.operators for index in operation.outputs} | set(graph.inputs)
    floats = [d["index"] for d in details if d["index"] in computed and d["dtype"] == np.float32]
    lowest, highest = np.zeros((2, len(images), len(floats)), np.float32)
    for row, image in enumerate(images):
        tensors.run(image)
        for column, index in enumerate(floats):
            values = tensors.interpreter.get_tensor(index)
            values = values[np.abs(values) < LARGEST]
            lowest[row, column], highest[row, column] = values.min(initial=0), values.max(initial=0)
        on_progress(row + 1)
    low, high = np.quantile(lowest, 1 - SHARE, axis=0), np.quantile(highest, SHARE, axis=0)
    return {tensors.names[i]: (float(a), float(b)) for i, a, b in zip(floats, low, high, strict=True)}
