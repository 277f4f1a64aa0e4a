"""Latency of ShuffleNet (arXiv:1707.01083) against AlexNet: both as float32 TFLite files, in turn, in one run.

The paper's section 4.5 reports ShuffleNet 0.5x with 3 groups about 13 times as fast as AlexNet, of the same accuracy,
on one core of a phone. AlexNet is torchvision's; the weights are random, which does not change the time.

    python benchmarks/shufflenet_vs_alexnet.py --rounds 200
"""

import argparse
import tempfile
from pathlib import Path

import torchvision

from mobiledet.backbones import build_classifier
from mobiledet.complexity import count_macs, count_parameters
from mobiledet.devices.machine import cpu_name
from mobiledet.profile.timing import measure_in_turn
from mobiledet_converters.tflite.network import Network, convert_networks

SIDE = 224
PAPER_RATIO = 13


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="number of timed runs of each network")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    modules = {
        "AlexNet": torchvision.models.alexnet(weights=None).eval(),
        "ShuffleNet 0.5x (g = 3)": build_classifier("shufflenet_v1_0.5x_g3").eval(),
    }
    costs = {name: (count_macs(module, SIDE, SIDE), count_parameters(module)) for name, module in modules.items()}
    with tempfile.TemporaryDirectory() as folder:
        files = convert_networks({name: Network(m, (3, SIDE, SIDE)) for name, m in modules.items()}, Path(folder))
        measured = measure_in_turn(files, arguments.rounds, arguments.threads)
    print(f"{cpu_name()}, {arguments.threads} thread(s), {arguments.rounds} rounds in turn")
    for name, stats in measured.items():
        macs, parameters = costs[name]
        interval = f"{stats.p50_low_ms:.2f} to {stats.p50_high_ms:.2f}"
        print(
            f"{name:>24}: p50 {stats.p50_ms:6.2f} ms ({interval}), "
            f"{macs / 1e6:.0f} M multiply-adds, {parameters / 1e6:.1f} M parameters"
        )
    alexnet, shufflenet = (stats.p50_ms for stats in measured.values())
    print(f"ShuffleNet is {alexnet / shufflenet:.1f} times as fast; the paper, on ARM: about {PAPER_RATIO} times")


if __name__ == "__main__":
    main()
