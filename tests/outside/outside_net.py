"""A package that is not part of this project: one backbone and one detector in one file."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from mobiledet.backbones import Backbone
from mobiledet.backbones.base import Stage, StagedBackbone, pooled_classifier
from mobiledet.detectors import Detector, DetectorEntry, DetectorOptions
from mobiledet.detectors.ssdlite import LEVELS, ssdlite
from mobiledet.layers import NormLayer
from mobiledet.options import SsdLiteOptions


def step(channels_in: int, channels: int, norm_layer: NormLayer) -> nn.Sequential:
    """Half the resolution."""
    convolution = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, norm_layer(channels), nn.ReLU())


class OutsideNet(StagedBackbone):
    """Five strided convolutions."""

    def __init__(self, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        widths = {4: (8, 12), 8: (12, 16), 16: (16, 24), 32: (24, 32)}
        stages = [Stage(f"stride{s}", out, s, step(into, out, norm_layer)) for s, (into, out) in widths.items()]
        super().__init__(step(3, 8, norm_layer), stages)

    def classifier_head(self, num_classes: int) -> nn.Module:
        return nn.Sequential(*pooled_classifier(32, num_classes))


@dataclass(frozen=True)
class OutsideOptions(DetectorOptions):
    """What can be set of ``outside_ssd``."""

    loss: Literal["focal", "hard_negative"] = "focal"
    """What the classes are taught by."""


def build(backbone: Backbone, num_classes: int, image_size: tuple[int, int], options: OutsideOptions) -> Detector:
    """SSDLite under another name."""
    return ssdlite(backbone, num_classes, image_size, SsdLiteOptions(loss=options.loss))


DETECTOR = DetectorEntry(build, LEVELS, OutsideOptions)
