"""Runs a .tflite file that returns box offsets and scores, and decodes them as an app would."""

import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter

from mobiledet.detections import Detections
from mobiledet.detectors.postprocess import select_detections
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.spec import ModelSpec

ANCHORS = "anchors"


class RawLiteRtDetector:
    """A file without post-processing, with the interface of ``LiteRtDetector``.

    Args:
        path: the .tflite file, with its anchors and spec appended.
    """

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read("mobiledet.json"))
            table = values.pop(ANCHORS)
            self._anchors = np.frombuffer(archive.read(table["file"]), "<f4").reshape(-1, 4)
        x, y, width, height = table["coder_weights_xywh"]
        self._weights = np.array([y, x, height, width], np.float32)
        self._spec = ModelSpec.from_json(values, str(path))
        self._interpreter = Interpreter(str(path))
        self._interpreter.allocate_tensors()
        (self._input,) = self._interpreter.get_input_details()
        outputs = self._interpreter.get_signature_runner().get_output_details()
        self._outputs = {name: detail["index"] for name, detail in outputs.items()}

    def set_input(self, image: np.ndarray) -> None:
        """Set the image: height x width x 3 uint8 RGB."""
        self._interpreter.set_tensor(self._input["index"], image[None].astype(self._input["dtype"]))

    def invoke(self) -> None:
        """Run the file."""
        self._interpreter.invoke()

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """Decode the boxes, suppress them, and convert them to pixels of an image of this size."""
        deltas, scores = (self._interpreter.get_tensor(self._outputs[name])[0] for name in ("deltas", "scores"))
        offsets = deltas / self._weights
        centre = self._anchors[:, :2] + offsets[:, :2] * self._anchors[:, 2:]
        half = self._anchors[:, 2:] * np.exp(offsets[:, 2:]) / 2
        boxes = np.concatenate((centre - half, centre + half), axis=1).clip(0, 1)[:, [1, 0, 3, 2]]
        pixels = boxes * np.array([image_width, image_height] * 2, np.float32)
        (found,) = select_detections(torch.from_numpy(pixels)[None], torch.from_numpy(scores)[None], self._spec.nms)
        return found.to_numpy()


def open_tflite(path: Path) -> LiteRtDetector | RawLiteRtDetector:
    """Load a .tflite file, with or without post-processing in its graph."""
    with zipfile.ZipFile(path) as archive:
        is_raw = ANCHORS in json.loads(archive.read("mobiledet.json"))
    return RawLiteRtDetector(path) if is_raw else LiteRtDetector(path)
