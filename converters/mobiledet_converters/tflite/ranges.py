"""Which values the tensors of a float .tflite file take on real images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.tools.flatbuffer_utils import read_model

from mobiledet_converters.calibration import SHARE

Ranges = dict[str, tuple[float, float]]  # tensor name -> lowest and highest value

# What pads a maximum, minus infinity in some number format, is no value of the network.
LARGEST = 3e38


@dataclass(frozen=True)
class PreservedTensors:
    """An interpreter that keeps every tensor of a run.

    Attributes:
        interpreter: LiteRT's, with its own kernels: a delegate would hide what happens inside of it.
        names: of the tensors, by index.
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


def measure_ranges(path: Path, images: np.ndarray, tell: Callable[[int], None] = lambda _: None) -> Ranges:
    """Run a float file on images and note the range of every float tensor that it computes.

    Args:
        path: the .tflite file.
        images: N x height x width x 3, RGB in 0..255.
        tell: is told the number of images done.
    """
    tensors = PreservedTensors.open(path)
    details = tensors.interpreter.get_tensor_details()
    graph = read_model(path).subgraphs[0]
    # not its constants: a quantiser that is told the range of weights has one scale for all channels
    computed = {int(index) for operation in graph.operators for index in operation.outputs} | set(graph.inputs)
    floats = [d["index"] for d in details if d["index"] in computed and d["dtype"] == np.float32]
    lowest, highest = np.zeros((2, len(images), len(floats)), np.float32)
    for row, image in enumerate(images):
        tensors.run(image)
        for column, index in enumerate(floats):
            values = tensors.interpreter.get_tensor(index)
            values = values[np.abs(values) < LARGEST]
            lowest[row, column], highest[row, column] = values.min(initial=0), values.max(initial=0)
        tell(row + 1)
    low, high = np.quantile(lowest, 1 - SHARE, axis=0), np.quantile(highest, SHARE, axis=0)
    return {tensors.names[i]: (float(a), float(b)) for i, a, b in zip(floats, low, high, strict=True)}
