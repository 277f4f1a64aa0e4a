"""The interpreter as a process: ``python -m mobiledet.devices.coreml_process PACKAGE THREADS``.

It uses ``array_stream`` on its standard input and output. First it sends the ``size`` of the image, height and width.
Each request contains the ``image`` and optionally some ``shape.…``; the answer contains the outputs, and the internal
results with those shapes by number. In case of an error, it contains only ``error``.
"""

import os
import sys
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from mobiledet.devices.array_stream import receive, send
from mobiledet.devices.outputs import VISION_OUTPUTS
from mobiledet.errors import UserError
from mobiledet.mil.model import CoreMlModel
from mobiledet.spec import OUTPUTS


def serve(path: Path, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until the stream ends."""
    try:
        model = CoreMlModel(path)
        size = _image_size(model, path)
    except UserError as error:
        send(answers, error=str(error))
        return
    send(answers, size=size)
    while request := receive(requests):
        shapes = {tuple(values.tolist()) for name, values in request.items() if name.startswith("shape.")}
        inside: list[np.ndarray] = []

        def observe(_: str, values: Tensor, shapes: set[tuple[int, ...]] = shapes, inside: list = inside) -> None:
            if tuple(values.shape) in shapes:
                inside.append(values.numpy())

        try:
            outputs = model.predict({model.inputs[0]: request["image"]}, observe if shapes else None)
        except UserError as error:
            send(answers, error=str(error))
            continue
        send(answers, **outputs, **{f"inside.{index}": values for index, values in enumerate(inside)})


def _image_size(model: CoreMlModel, path: Path) -> tuple[int, int]:
    """Height and width of the only input.

    Raises:
        UserError: the package is not a detector for one image.
    """
    image = model.message.description.input[0].type.imageType
    is_detector = any(set(names) <= set(model.outputs) for names in (OUTPUTS, VISION_OUTPUTS))
    if len(model.inputs) != 1 or not image.height or not is_detector:
        raise UserError(
            f"{path} is not a mobiledet detector: its inputs are {', '.join(model.inputs)} and its outputs "
            f"{', '.join(model.outputs)} instead of one image and {', '.join(OUTPUTS)} "
            f"(or {', '.join(VISION_OUTPUTS)}); export it with mobiledet export"
        )
    return image.height, image.width


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    # output of libraries must not be mixed with the answers
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(Path(sys.argv[1]), sys.stdin.buffer, channel)
