"""Compares a whole Faster R-CNN file with the sum of its convolutional parts.

MobileNetV2, one level, 320 pixels, 100 proposals, 80 classes, random weights. The parts are backbone, neck and first
head as one file, and the second head on 100 regions as another; the rest is the selection of proposals, RoIAlign and
post-processing. The target is a ratio below 1.3.

    python benchmarks/faster_rcnn_parts.py --rounds 200
"""

from typing import cast

from tflite import COCO, SIDE, compare, converted, exported, folder_of, options_from_command_line
from torch import Tensor, fx, nn

from mobiledet.detectors import detector_from_spec
from mobiledet.detectors.two_stage import TwoStageDetector
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.coreml.quantize import FirstStage
from mobiledet_converters.tflite.network import Network

BACKBONE, DETECTOR = "mobilenet_v2_1x", "faster_rcnn"


class StackedSecondStage(nn.Module):
    """Regions to classes and boxes; they come below each other, as one map.

    Attributes:
        channels: of the regions.
        side: of a region.
    """

    def __init__(self, detector: TwoStageDetector) -> None:
        super().__init__()
        self.box_head = detector.box_head
        self.channels = next(m for m in detector.box_head.modules() if isinstance(m, nn.Conv2d)).in_channels
        self.side = detector.pooling.grid.resolution

    def forward(self, regions: Tensor) -> tuple[Tensor, ...]:
        rows = regions.permute(0, 2, 3, 1).reshape(-1, self.side, self.side, self.channels).permute(0, 3, 1, 2)
        outputs: tuple[Tensor, Tensor] = self.box_head(rows)
        return outputs


def main() -> None:
    options = options_from_command_line(__doc__)
    spec = ModelSpec("x", BACKBONE, DETECTOR, InputSpec(SIDE, SIDE), COCO, tuple(range(len(COCO))))
    detector = cast(TwoStageDetector, detector_from_spec(spec).eval())
    first, second = FirstStage(detector), StackedSecondStage(detector)
    rows = detector.options.proposals * second.side
    # as graphs, because the converter's process does not know the classes of this script
    parts = {
        "first stage": Network(fx.symbolic_trace(first), (3, SIDE, SIDE)),
        "second stage": Network(fx.symbolic_trace(second), (second.channels, rows, second.side)),
    }
    with folder_of(options.keep) as folder:
        whole = exported(BACKBONE, DETECTOR, folder)["graph"]
        medians = compare({"whole": whole, **converted(parts, folder)}, options.rounds)
    for threads, ms in medians.items():
        sum_of_parts = ms["first stage"] + ms["second stage"]
        print(f"{threads} threads  the whole takes {ms['whole'] / sum_of_parts:.3f} of its parts")


if __name__ == "__main__":
    main()
