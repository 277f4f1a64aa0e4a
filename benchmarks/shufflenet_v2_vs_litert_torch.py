"""ShuffleNetV2's features as we export them against torchvision's module converted by litert-torch as it is.

Three maps at 320 pixels, random weights. The bound has no shuffles at all: wrong numbers, but the least cost that
removing them can reach. To be reached: at most 0.90 of the plain conversion.

    python benchmarks/shufflenet_v2_vs_litert_torch.py --rounds 200
"""

from tflite import SIDE, compare, converted, rounds_from_command_line

from mobiledet.backbones import build_backbone
from mobiledet_converters.tflite.network import Network

PEERS = {"1x": "shufflenet_v2_x1_0", "2x": "shufflenet_v2_x2_0"}


def main() -> None:
    rounds = rounds_from_command_line(__doc__)
    shape = (3, SIDE, SIDE)
    for width, name in PEERS.items():
        networks = {
            "plain litert-torch": Network(build_backbone(f"torchvision:{name}").eval(), shape, passes=False),
            "mobiledet": Network(build_backbone(f"shufflenet_v2_{width}").eval(), shape),
        }
        print(f"ShuffleNetV2 {width}")
        with converted(networks) as files:
            compare(files, rounds)


if __name__ == "__main__":
    main()
