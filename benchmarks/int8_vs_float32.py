"""Int8 against float32 files of the classifiers of all families, as we convert and quantise them.

320 pixels, random weights, calibrated on random pictures: this affects accuracy, not time. The targets on a processor
with 8-bit dot products: 1.6 times as fast for MobileNetV1, V2 and ShuffleNetV2, 1.4 times for GhostNet and
ShuffleNetV1, and a single partition in XNNPACK.

    python benchmarks/int8_vs_float32.py --rounds 100
"""

import numpy as np
from tflite import SIDE, compare, converted, folder_of, options_from_command_line

from mobiledet.backbones import build_classifier
from mobiledet_converters.tflite.network import Network
from mobiledet_converters.tflite.quantize import quantize
from mobiledet_converters.tflite.ranges import measure_ranges

GOALS = {
    "mobilenet_v1_1x": 1.6,
    "mobilenet_v2_1x": 1.6,
    "shufflenet_v2_1x": 1.6,
    "ghostnet_1x": 1.4,
    "shufflenet_v1_1x_g3": 1.4,
}
PICTURES = 4


def main() -> None:
    options = options_from_command_line(__doc__)
    pictures = np.random.default_rng(0).integers(0, 256, (PICTURES, SIDE, SIDE, 3), np.uint8)
    networks = {key: Network(build_classifier(key).eval(), (3, SIDE, SIDE)) for key in GOALS}
    with folder_of(options.keep) as folder:
        files = converted(networks, folder)
        for key, goal in GOALS.items():
            integers = files[key].with_suffix(".int8.tflite")
            if not integers.exists():
                quantize("int8", files[key], integers, measure_ranges(files[key], pictures))
            print(f"{key}, {goal} times to be reached")
            medians = compare({"float32": files[key], "int8": integers}, options.rounds)
            for threads, ms in medians.items():
                print(f"{threads} threads  int8 is {ms['float32'] / ms['int8']:.2f} times as fast")


if __name__ == "__main__":
    main()
