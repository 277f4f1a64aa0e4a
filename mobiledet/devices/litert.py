"""A .tflite detector in LiteRT on this machine's processor."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mobiledet.detections import Detections
from mobiledet.devices.outputs import to_detections
from mobiledet.devices.partitions import from_details
from mobiledet.errors import UserError, unknown_name
from mobiledet.spec import OUTPUTS

# what runs the operations -> how LiteRT is told so
ACCELERATORS = {
    "auto": OpResolverType.AUTO,
    "xnnpack": OpResolverType.AUTO,
    "cpu": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


class LiteRtDetector:
    """A detector whose file takes one raw RGB image and gives boxes, classes, scores and count.

    Args:
        path: the .tflite file.
        accelerator: a key of ``ACCELERATORS``: ``cpu`` is LiteRT's own kernels, ``auto`` XNNPACK where it takes part.
        threads: of the processor, at least 1.

    Attributes:
        height, width: of the image, in pixels.
        accelerator: the one that runs the file: ``xnnpack``, or ``cpu`` also where XNNPACK takes no operation.
        delegated_share: part of the graph's operations that XNNPACK runs, 0..1.

    Raises:
        UserError: unknown accelerator, or a file that LiteRT cannot load or that is no such detector.
    """

    def __init__(self, path: Path, accelerator: str = "auto", threads: int = 1) -> None:
        if accelerator not in ACCELERATORS:
            raise unknown_name("accelerator", accelerator, ACCELERATORS)
        self._path = path
        try:
            resolver = ACCELERATORS[accelerator]
            self._interpreter = Interpreter(
                model_path=str(path), num_threads=threads, experimental_op_resolver_type=resolver
            )
            self._interpreter.allocate_tensors()
            self._input, self._outputs = self._signature()
            self.height, self.width = (int(side) for side in self._input["shape"][1:3])
            self.delegated_share = from_details(self._interpreter._get_ops_details()).delegated_share
        except UserError:
            raise
        except Exception as error:  # its Python part stumbles in many ways over a file with names or parts missing
            raise UserError(f"LiteRT cannot load {path}: {_one_line(error)}; export it again") from error
        self.accelerator = "xnnpack" if self.delegated_share else "cpu"

    def set_input(self, image: np.ndarray) -> None:
        """Copy an image of the model's size (height x width x 3 uint8 RGB) into the input."""
        self._interpreter.set_tensor(self._input["index"], image[None].astype(self._input["dtype"]))

    def invoke(self) -> None:
        """Run the graph on the input; the input must be set anew before each run, its memory is reused.

        Raises:
            UserError: LiteRT fails.
        """
        try:
            self._interpreter.invoke()
        except Exception as error:
            raise UserError(f"LiteRT cannot run {self._path}: {_one_line(error)}; export it again") from error

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """What the last run found, boxes in pixels of an image of this size.

        Args:
            image_height, image_width: pixels of the model's input, or of a picture that is stretched to it; 1 leaves
                fractions, see ``mobiledet.placement``.
            class_count: classes that the model tells apart; None when unknown.

        Raises:
            UserError: the outputs hold NaN or infinity, or a count or class that cannot be.
        """
        outputs = {name: self._interpreter.get_tensor(self._outputs[name]["index"]) for name in OUTPUTS}
        return to_detections(self._path, outputs, image_height, image_width, class_count)

    def _signature(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Tensors of the input, and of the outputs by name."""
        signatures = self._interpreter.get_signature_list()
        fitting = [key for key, value in signatures.items() if set(OUTPUTS) <= set(value["outputs"])]
        if not fitting:
            names = sorted({name for value in signatures.values() for name in value["outputs"]}) or ["none"]
            raise UserError(
                f"{self._path} is not a mobiledet detector: it has no signature with the outputs "
                f"{', '.join(OUTPUTS)} (its outputs: {', '.join(names)}); export it with mobiledet export"
            )
        runner = self._interpreter.get_signature_runner(fitting[0])
        inputs, outputs = list(runner.get_input_details().values()), runner.get_output_details()
        rows = int(outputs["scores"]["shape"][-1])
        self._require_shape("boxes", outputs["boxes"], [(1, rows, 4)])
        self._require_shape("classes", outputs["classes"], [(1, rows)])
        self._require_shape("scores", outputs["scores"], [(1, rows)])
        self._require_shape("count", outputs["count"], [(1,)])
        if len(inputs) != 1 or inputs[0]["dtype"] not in (np.float32, np.uint8):
            raise UserError(f"{self._path} must take one image, float32 or uint8; export it with mobiledet export")
        height, width = inputs[0]["shape"][1:3] if len(inputs[0]["shape"]) == 4 else (0, 0)
        self._require_shape("input", inputs[0], [(1, height, width, 3)])
        return inputs[0], outputs

    def _require_shape(self, name: str, tensor: dict[str, Any], shapes: Sequence[tuple[int, ...]]) -> None:
        # shape_signature holds -1 for a dynamic side, with which some runtimes give zeros without a word
        shape = tuple(int(side) for side in tensor["shape_signature"])
        if shape not in shapes:
            raise UserError(f"{self._path}: {name} is {shape}, not {shapes[0]}; export it with mobiledet export")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
