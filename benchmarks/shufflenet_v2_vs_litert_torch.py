"""ShuffleNetV2's features as we export them against torchvision's module converted by litert-torch as it is.

Three maps at 320 pixels, random weights. The target is at most 0.90 of the time of the plain conversion.

    python benchmarks/shufflenet_v2_vs_litert_torch.py --rounds 200
"""

from tflite import SIDE, compare, converted, folder_of, options_from_command_line

from mobiledet.backbones import build_backbone
from mobiledet_converters.tflite.network import Network

PEERS = {"1x": "shufflenet_v2_x1_0", "2x": "shufflenet_v2_x2_0"}


def main() -> None:
    options = options_from_command_line(__doc__)
    shape = (3, SIDE, SIDE)
    with folder_of(options.keep) as folder:
        for width, name in PEERS.items():
            networks = {
                f"{width}, plain litert-torch": Network(build_backbone(f"torchvision:{name}").eval(), shape, False),
                f"{width}, mobiledet": Network(build_backbone(f"shufflenet_v2_{width}").eval(), shape),
            }
            compare(converted(networks, folder), options.rounds)


if __name__ == "__main__":
    main()
