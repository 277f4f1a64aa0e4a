"""Send images of many sizes to an agent that replays outputs: boxes must equal the host's, and inputs to the bit.

The outputs are made up and recorded for the input that the host makes of each picture. An agent that decodes or
resizes a picture differently asks for an input that nobody has recorded, and fails.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from mobiledet.bundle import open_bundle
from mobiledet.data.images import load_rgb
from mobiledet.data.resize import resize_to_input
from mobiledet.devices.agent.client import AgentDevice
from mobiledet.devices.outputs import to_detections
from mobiledet.placement import Placement

TOLERANCE_PIXELS = 1e-4
SIZES = [(32, 32), (480, 640), (640, 427), (33, 500), (500, 33), (1, 1), (7, 1000), (333, 375), (96, 64), (61, 67)]

Outputs = dict[str, np.ndarray]


class Replay:
    """Images in a folder, and the expected detections in them.

    Args:
        bundle: a folder or zip; its model file is never run.
        folder: for pictures and recordings.
    """

    def __init__(self, bundle: Path, folder: Path) -> None:
        self._bundle = open_bundle(bundle)
        self._outputs: dict[Path, Outputs] = {}
        random = np.random.default_rng(0)
        for index, (height, width) in enumerate(SIZES):
            path = folder / f"{index}.png"
            Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).save(path)
            self._outputs[path] = self._made_up(random)

    def recordings(self, known: Path) -> str:
        """Recordings for the golden inputs, whose outputs a file contains in order, and for the images, as JSON."""
        golden = self._bundle.golden(self._bundle.files[0])
        cases = [
            {**recorded, "input_sha256": hashlib.sha256(case.image.tobytes()).hexdigest()}
            for case, recorded in zip(golden, json.loads(known.read_text())["cases"], strict=True)
        ]
        for path, outputs in self._outputs.items():
            pixels = resize_to_input(load_rgb(path), self._bundle.spec.input)
            named = {name: values[0].tolist() for name, values in outputs.items()}
            cases.append({"input_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(), **named})
        return json.dumps({"cases": cases})

    def differences(self, url: str, token: str) -> Iterator[str]:
        """Descriptions of wrong detections of an agent; empty if there are none."""
        file = self._bundle.files[0]
        with closing(AgentDevice(url, token)) as device:
            session = device.load(self._bundle, file)
            session.golden()
            for frame, (path, outputs) in zip(session.detect(self._outputs), self._outputs.items(), strict=True):
                height, width = load_rgb(path).shape[:2]
                placement = Placement.of(height, width, self._bundle.spec.input)
                expected = placement.visible(placement.to_image(to_detections(Path(file.path), outputs, 1, 1)))
                found = frame.detections
                same = len(found) == len(expected) and (found.labels == expected.labels).all()
                off = np.abs(found.boxes_xyxy - expected.boxes_xyxy).max(initial=0) if same else np.inf
                if not off <= TOLERANCE_PIXELS:
                    yield f"{height} x {width}: {len(found)} of {len(expected)} detections, {off} pixels off"

    def _made_up(self, random: np.random.Generator) -> Outputs:
        rows = self._bundle.spec.nms.max_detections
        corners = np.sort(random.random((rows, 2, 2)), axis=1).reshape(1, rows, 4)
        return {
            "boxes": corners.astype(np.float32),
            "classes": random.integers(0, self._bundle.spec.num_classes, (1, rows)).astype(np.float32),
            "scores": -np.sort(-random.random((1, rows))).astype(np.float32),
            "count": np.array([random.integers(1, rows + 1)], np.float32),
        }
