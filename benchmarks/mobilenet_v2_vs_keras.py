"""Float32 MobileNetV2 as we export it against the same network built in Keras and converted by TensorFlow.

Both are the classifier with 1000 classes at 320 pixels, random weights. TensorFlow runs in its own process. The target
is at most 1.02 of the time of the Keras file.

    python benchmarks/mobilenet_v2_vs_keras.py --rounds 200
"""

import os
import subprocess
import sys

from tflite import SIDE, compare, converted, folder_of, options_from_command_line

from mobiledet.backbones import build_classifier
from mobiledet_converters.tflite.network import Network

KERAS = """
import sys, tempfile
import numpy as np
import tensorflow as tf
path, side = sys.argv[1], int(sys.argv[2])
model = tf.keras.applications.MobileNetV2(input_shape=(side, side, 3), weights=None, classifier_activation=None)
with tempfile.TemporaryDirectory() as folder:
    model.export(folder, verbose=False)
    data = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
interpreter = tf.lite.Interpreter(model_content=data)  # the converter has been seen to write empty graphs
interpreter.allocate_tensors()
image = np.random.default_rng(0).random((1, side, side, 3), np.float32)
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
interpreter.invoke()
found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
expected = model(image).numpy()
assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max() + 1e-6, np.abs(found - expected).max()
open(path, "wb").write(data)
"""


def main() -> None:
    options = options_from_command_line(__doc__)
    with folder_of(options.keep) as folder:
        keras = folder / "keras.tflite"
        if not keras.exists():
            quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
            subprocess.run([sys.executable, "-c", KERAS, str(keras), str(SIDE)], check=True, env=quiet)
        ours = {"mobiledet": Network(build_classifier("mobilenet_v2_1x").eval(), (3, SIDE, SIDE))}
        compare({"Keras, TensorFlow": keras, **converted(ours, folder)}, options.rounds)


if __name__ == "__main__":
    main()
