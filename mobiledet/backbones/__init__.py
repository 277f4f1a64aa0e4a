"""Backbones, one file per paper: the table ``BACKBONES``, and ``build_backbone``, which builds one of them."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from torch import nn

from mobiledet.backbones.base import Backbone, Classifier, FeatureInfo, Published
from mobiledet.backbones.fd_mobilenet import FDMobileNet
from mobiledet.backbones.ghostify import ghostify
from mobiledet.backbones.ghostnet import GhostNet
from mobiledet.backbones.mobilenet_v1 import MobileNetV1
from mobiledet.backbones.mobilenet_v2 import MobileNetV2
from mobiledet.backbones.pretrained import load_pretrained
from mobiledet.backbones.shufflenet_v1 import ShuffleNetV1
from mobiledet.backbones.shufflenet_v2 import ShuffleNetV2
from mobiledet.backbones.torchvision_features import PREFIX, TorchvisionFeatures, torchvision_names
from mobiledet.backbones.variants import BACKBONE_OPTIONS
from mobiledet.errors import UserError, unknown_name
from mobiledet.layers import NormLayer
from mobiledet.registry import Registry

# key -> builder, called with norm_layer
_OURS: dict[str, Callable[..., Backbone]] = {
    "mobilenet_v1_0.25x": partial(MobileNetV1, 0.25),
    "mobilenet_v1_0.5x": partial(MobileNetV1, 0.5),
    "mobilenet_v1_0.75x": partial(MobileNetV1, 0.75),
    "mobilenet_v1_1x": partial(MobileNetV1, 1.0),
    "mobilenet_v2_0.35x": partial(MobileNetV2, 0.35),
    "mobilenet_v2_0.5x": partial(MobileNetV2, 0.5),
    "mobilenet_v2_0.75x": partial(MobileNetV2, 0.75),
    "mobilenet_v2_1x": partial(MobileNetV2, 1.0),
    "mobilenet_v2_1.3x": partial(MobileNetV2, 1.3),
    "mobilenet_v2_1.4x": partial(MobileNetV2, 1.4),
    "shufflenet_v1_0.25x_g1": partial(ShuffleNetV1, 0.25, 1),
    "shufflenet_v1_0.25x_g2": partial(ShuffleNetV1, 0.25, 2),
    "shufflenet_v1_0.25x_g3": partial(ShuffleNetV1, 0.25, 3),
    "shufflenet_v1_0.25x_g4": partial(ShuffleNetV1, 0.25, 4),
    "shufflenet_v1_0.25x_g8": partial(ShuffleNetV1, 0.25, 8),
    "shufflenet_v1_0.5x_g1": partial(ShuffleNetV1, 0.5, 1),
    "shufflenet_v1_0.5x_g2": partial(ShuffleNetV1, 0.5, 2),
    "shufflenet_v1_0.5x_g3": partial(ShuffleNetV1, 0.5, 3),
    "shufflenet_v1_0.5x_g4": partial(ShuffleNetV1, 0.5, 4),
    "shufflenet_v1_0.5x_g8": partial(ShuffleNetV1, 0.5, 8),
    "shufflenet_v1_1x_g1": partial(ShuffleNetV1, 1.0, 1),
    "shufflenet_v1_1x_g2": partial(ShuffleNetV1, 1.0, 2),
    "shufflenet_v1_1x_g3": partial(ShuffleNetV1, 1.0, 3),
    "shufflenet_v1_1x_g4": partial(ShuffleNetV1, 1.0, 4),
    "shufflenet_v1_1x_g8": partial(ShuffleNetV1, 1.0, 8),
    "shufflenet_v1_1.5x_g1": partial(ShuffleNetV1, 1.5, 1),
    "shufflenet_v1_1.5x_g2": partial(ShuffleNetV1, 1.5, 2),
    "shufflenet_v1_1.5x_g3": partial(ShuffleNetV1, 1.5, 3),
    "shufflenet_v1_1.5x_g4": partial(ShuffleNetV1, 1.5, 4),
    "shufflenet_v1_1.5x_g8": partial(ShuffleNetV1, 1.5, 8),
    "shufflenet_v1_2x_g1": partial(ShuffleNetV1, 2.0, 1),
    "shufflenet_v1_2x_g2": partial(ShuffleNetV1, 2.0, 2),
    "shufflenet_v1_2x_g3": partial(ShuffleNetV1, 2.0, 3),
    "shufflenet_v1_2x_g4": partial(ShuffleNetV1, 2.0, 4),
    "shufflenet_v1_2x_g8": partial(ShuffleNetV1, 2.0, 8),
    "shufflenet_v2_0.5x": partial(ShuffleNetV2, 0.5),
    "shufflenet_v2_1x": partial(ShuffleNetV2, 1.0),
    "shufflenet_v2_1.5x": partial(ShuffleNetV2, 1.5),
    "shufflenet_v2_2x": partial(ShuffleNetV2, 2.0),
    "ghostnet_0.5x": partial(GhostNet, 0.5),
    "ghostnet_1x": partial(GhostNet, 1.0),
    "ghostnet_1.3x": partial(GhostNet, 1.3),
    "fd_mobilenet_0.25x": partial(FDMobileNet, 0.25),
    "fd_mobilenet_0.5x": partial(FDMobileNet, 0.5),
    "fd_mobilenet_0.75x": partial(FDMobileNet, 0.75),
    "fd_mobilenet_1x": partial(FDMobileNet, 1.0),
}

# includes those of other packages, which register a builder in the entry point group `mobiledet.backbones`
BACKBONES: Registry[Callable[..., Backbone]] = Registry("backbone", "mobiledet.backbones", _OURS)


def check_backbone(key: str) -> None:
    """Check that ``build_backbone`` knows a key.

    Raises:
        UserError: the key is unknown; the message suggests similar ones.
    """
    if key.startswith(PREFIX):
        if key.removeprefix(PREFIX) not in torchvision_names():
            raise unknown_name("torchvision network", key.removeprefix(PREFIX), torchvision_names())
    elif key not in BACKBONES:
        raise unknown_name("backbone", key, BACKBONES)


def build_backbone(
    key: str,
    pretrained: str | None = None,
    norm_layer: NormLayer = nn.BatchNorm2d,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Backbone:
    """Build a backbone that returns feature maps.

    Args:
        key: a key of ``BACKBONES``, or ``torchvision:NAME``.
        pretrained: ``imagenet`` or a file, see ``load_pretrained``; random weights by default.
        norm_layer: makes the normalisation layer from a number of channels.
        options: values of ``BACKBONE_OPTIONS`` by name.

    Raises:
        UserError: the key or an option is unknown or not valid, or the weights cannot be loaded.
    """
    check_backbone(key)
    for name in options:
        if name not in BACKBONE_OPTIONS:
            raise unknown_name("backbone option", name, BACKBONE_OPTIONS)
    if key.startswith(PREFIX):
        backbone: Backbone = TorchvisionFeatures(key.removeprefix(PREFIX), norm_layer)
    else:
        backbone = BACKBONES[key](norm_layer=norm_layer)
        if not isinstance(backbone, Backbone):
            raise UserError(f"backbone {key} is a {type(backbone).__name__}, not a mobiledet.backbones.Backbone")
    for name, change in BACKBONE_OPTIONS.items():
        if name in options:
            change(backbone, options[name])
    backbone.built_with = dict(options)
    if pretrained:
        load_pretrained(backbone, key, pretrained)
    return backbone


def build_classifier(key: str, num_classes: int = 1000, norm_layer: NormLayer = nn.BatchNorm2d) -> Classifier:
    """Build a backbone with the classifier of its paper, which published parameter counts and weights refer to."""
    return Classifier(build_backbone(key, norm_layer=norm_layer), num_classes)


__all__ = [
    "BACKBONES",
    "BACKBONE_OPTIONS",
    "Backbone",
    "Classifier",
    "FeatureInfo",
    "Published",
    "build_backbone",
    "build_classifier",
    "check_backbone",
    "ghostify",
    "load_pretrained",
]
