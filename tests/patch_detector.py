"""Run as a program: write small but real .tflite detectors of bright red, green and blue squares with TensorFlow.

    python patch_detector.py FOLDER

The image is cut into cells of 8 x 8 pixels; where the mean of one channel is above one half, that colour is detected.
``patch.tflite`` works, ``wide.tflite`` on images twice as wide; each other file is broken in the way its name tells.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

SIDE = 64
CELLS = 8
ROWS = 20

Outputs = dict[str, tf.Tensor]


def detect(image: tf.Tensor) -> Outputs:
    size = SIDE // CELLS
    rows, columns = (side // size for side in image.shape[1:3])
    means = tf.nn.avg_pool2d(image / 255.0, size, size, "VALID")
    scores, index = tf.math.top_k(tf.reshape(means, [-1]), ROWS)
    cell = index // 3
    top, left = cell // columns, cell % columns
    corners = tf.stack([top, left, top + 1, left + 1], axis=1)
    return {
        "boxes": tf.cast(corners, tf.float32)[None] / tf.constant([rows, columns] * 2, tf.float32),
        "classes": tf.cast(index % 3, tf.float32)[None],
        "scores": scores[None],
        "count": tf.reduce_sum(tf.cast(scores > 0.5, tf.float32))[None],
    }


def silent(image: tf.Tensor) -> Outputs:
    return {name: value * 0.0 for name, value in detect(image).items()}


def not_a_number(image: tf.Tensor) -> Outputs:
    outputs = detect(image)
    return {**outputs, "scores": outputs["scores"] + tf.math.log(tf.reduce_mean(image) - 1e6)}


def shifted(image: tf.Tensor) -> Outputs:
    outputs = detect(image)
    return {**outputs, "boxes": outputs["boxes"] + 0.05}


def unnamed(image: tf.Tensor) -> Outputs:
    return {f"output_{index}": value for index, value in enumerate(detect(image).values())}


VARIANTS: dict[str, Callable[[tf.Tensor], Outputs]] = {
    "patch": detect,
    "wide": detect,
    "silent": silent,
    "not_a_number": not_a_number,
    "shifted": shifted,
    "unnamed": unnamed,
}


def write(folder: Path) -> None:
    for name, function in VARIANTS.items():
        module = tf.Module()
        width = 2 * SIDE if name == "wide" else SIDE
        image = tf.TensorSpec([1, SIDE, width, 3], tf.float32, name="image")
        module.detect = tf.function(function, input_signature=[image])
        with tempfile.TemporaryDirectory() as saved:
            tf.saved_model.save(module, saved, signatures={"serving_default": module.detect})
            (folder / f"{name}.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(saved).convert())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
