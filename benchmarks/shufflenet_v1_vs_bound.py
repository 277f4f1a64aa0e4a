"""ShuffleNetV1's features as we export them against the same network without shuffles: the bound.

Three maps at 320 pixels, three groups, random weights. The plain conversion of the network without shuffles gives wrong
numbers at the least cost. The target is at most 1.05 times its time. The last line shows what our other passes save.

    python benchmarks/shufflenet_v1_vs_bound.py --rounds 200
"""

from tflite import SIDE, compare, converted, folder_of, options_from_command_line
from torch import nn

from mobiledet.backbones import build_backbone
from mobiledet.backbones.shufflenet_v1 import Branch
from mobiledet_converters.tflite.network import Network

KEY = "shufflenet_v1_1x_g3"


def without_shuffles() -> nn.Module:
    """Networks whose branches are told that they have one group, which only disables the shuffle."""
    network = build_backbone(KEY).eval()
    for module in network.modules():
        if isinstance(module, Branch):
            module.groups = 1
    return network


def main() -> None:
    options = options_from_command_line(__doc__)
    shape = (3, SIDE, SIDE)
    networks = {
        "bound, plain": Network(without_shuffles(), shape, passes=False),
        "with shuffles, plain": Network(build_backbone(KEY).eval(), shape, passes=False),
        "with shuffles, mobiledet": Network(build_backbone(KEY).eval(), shape),
        "bound, mobiledet": Network(without_shuffles(), shape),
    }
    print(f"ShuffleNetV1 ({KEY})")
    with folder_of(options.keep) as folder:
        compare(converted(networks, folder), options.rounds)


if __name__ == "__main__":
    main()
