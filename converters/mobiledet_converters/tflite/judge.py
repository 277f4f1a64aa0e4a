"""Runs .tflite files with TensorFlow's reference kernels, which share no code with XNNPACK's.

They give a second opinion on the detections. Run as a process of its own:
``python -m mobiledet_converters.tflite.judge FOLDER``.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.spec import OUTPUTS
from mobiledet_converters.arrays import save_array
from mobiledet_converters.process import ENVIRONMENT

IMAGES, ANSWERS = "images.npy", "answers.npz"
LINES = 5  # of the process's output, shown in an error


def is_available() -> bool:
    """Whether TensorFlow is installed."""
    return find_spec("tensorflow") is not None


def judge(files: Sequence[Path], images: Sequence[np.ndarray], folder: Path) -> list[list[Detections]]:
    """Run files on images with the reference kernels.

    Args:
        files: .tflite detectors.
        images: height x width x 3 uint8 RGB, of the models' input size.
        folder: an empty folder for temporary files.

    Returns:
        for each file the detections in each image, boxes xyxy in pixels.

    Raises:
        UserError: TensorFlow cannot run a file.
    """
    if not files:
        return []
    save_array(folder / IMAGES, np.stack(images))
    (folder / "files.txt").write_text("".join(f"{path.absolute()}\n" for path in files), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mobiledet_converters.tflite.judge", str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()[-LINES:]
        raise UserError(f"TensorFlow's reference kernels cannot run the file: {' '.join(lines)}")
    height, width = images[0].shape[:2]
    with np.load(folder / ANSWERS) as answers:

        def read(file: int, image: int) -> Detections:
            boxes, classes, scores, count = (answers[f"{file}/{image}/{name}"] for name in OUTPUTS)
            return Detections.from_graph_outputs(boxes[0], classes[0], scores[0], int(count[0]), height, width)

        return [[read(file, image) for image in range(len(images))] for file in range(len(files))]


def _run(folder: Path) -> None:
    """The main function of the process: run every file on every image."""
    import tensorflow as tf

    images = np.load(folder / IMAGES)
    answers: dict[str, Any] = {}
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_REF
    for number, path in enumerate((folder / "files.txt").read_text(encoding="utf-8").splitlines()):
        interpreter = tf.lite.Interpreter(model_path=path, experimental_op_resolver_type=resolver)
        runner = interpreter.get_signature_runner()
        (image_name, detail), *_ = runner.get_input_details().items()
        for index, image in enumerate(images):
            found = runner(**{image_name: image[None].astype(detail["dtype"])})
            answers.update({f"{number}/{index}/{name}": found[name] for name in OUTPUTS})
    np.savez(folder / ANSWERS, **answers)


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
