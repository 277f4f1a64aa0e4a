"""Backbones, one paper a file. ``BACKBONES`` is the whole table; ``build_backbone`` is the way in."""

from collections.abc import Callable
from functools import partial

from torch import nn

from mobiledet.backbones.base import Backbone, Classifier, FeatureInfo
from mobiledet.backbones.shufflenet_v2 import ShuffleNetV2
from mobiledet.errors import unknown_name
from mobiledet.layers import NormLayer

# key -> builder, called with norm_layer
BACKBONES: dict[str, Callable[..., Backbone]] = {
    "shufflenet_v2_0.5x": partial(ShuffleNetV2, 0.5),
    "shufflenet_v2_1x": partial(ShuffleNetV2, 1.0),
    "shufflenet_v2_1.5x": partial(ShuffleNetV2, 1.5),
    "shufflenet_v2_2x": partial(ShuffleNetV2, 2.0),
}


def build_backbone(key: str, norm_layer: NormLayer = nn.BatchNorm2d) -> Backbone:
    """The feature form of a backbone, randomly initialised.

    Raises:
        UserError: the key is not in ``BACKBONES``; the message names the nearest ones.
    """
    if key not in BACKBONES:
        raise unknown_name("backbone", key, BACKBONES)
    return BACKBONES[key](norm_layer=norm_layer)


def build_classifier(key: str, num_classes: int = 1000, norm_layer: NormLayer = nn.BatchNorm2d) -> Classifier:
    """A backbone as its paper's classifier; the published counts and weights are for this form."""
    return Classifier(build_backbone(key, norm_layer), num_classes)


__all__ = ["BACKBONES", "Backbone", "Classifier", "FeatureInfo", "build_backbone", "build_classifier"]
