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

# accelerator -> option of LiteRT
ACCELERATORS = {
    "auto": OpResolverType.AUTO,
    "xnnpack": OpResolverType.AUTO,
    "cpu": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


class LiteRtDetector:
    """A detector whose file takes one raw RGB image and returns boxes, classes, scores and count.

    Args:
        path: the .tflite file.
        accelerator: a key of ``ACCELERATORS``: ``cpu`` uses LiteRT's own kernels, ``auto`` uses XNNPACK where possible.
        threads: number of CPU threads, at least 1.

    Attributes:
        height, width: size of the input in pixels.
        accelerator: the accelerator that runs the file: ``xnnpack``, or ``cpu`` if XNNPACK runs no operation.
        delegated_share: fraction of the graph's operations that XNNPACK runs, 0..1.

    Raises:
        UserError: the accelerator is unknown, or the file cannot be loaded by LiteRT or is not such a detector.
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
        except Exception as error:  # an incomplete file raises exceptions of many kinds
            raise UserError(f"LiteRT cannot load {path}: {_one_line(error)}; export it again") from error
        self.accelerator = "xnnpack" if self.delegated_share else "cpu"

    def set_input(self, image: np.ndarray) -> None:
        """Copy an image of the model's size (height x width x 3 uint8 RGB) into the input."""
        self._interpreter.set_tensor(self._input["index"], image[None].astype(self._input["dtype"]))

    def invoke(self) -> None:
        """Run the graph on the input, which must be set again before each run because its memory is reused.

        Raises:
            UserError: LiteRT fails.
        """
        try:
            self._interpreter.invoke()
        except Exception as error:
            raise UserError(f"LiteRT cannot run {self._path}: {_one_line(error)}; export it again") from error

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """The detections of the last run, boxes xyxy in pixels of an image of this size.

        Args:
            image_height, image_width: size of the model's input, or of an image that was stretched to it; 1 gives
                fractions, see ``mobiledet.placement``.
            class_count: number of classes of the model; None if unknown.

        Raises:
            UserError: the outputs contain NaN or infinity, or an impossible count or class.
        """
        outputs = {name: self._interpreter.get_tensor(self._outputs[name]["index"]) for name in OUTPUTS}
        return to_detections(self._path, outputs, image_height, image_width, class_count)

    def _signature(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Details of the input tensor, and of the output tensors by name."""
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
        # shape_signature has -1 for a dynamic dimension, for which some runtimes silently return zeros
        shape = tuple(int(side) for side in tensor["shape_signature"])
        if shape not in shapes:
            raise UserError(f"{self._path}: {name} is {shape}, not {shapes[0]}; export it with mobiledet export")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
