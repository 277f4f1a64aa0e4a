"""The table ``BACKBONE_OPTIONS``: deviations from a paper's network that some published weights need.

Each option changes a backbone in place before weights are loaded; names and values are stored in the spec.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from mobiledet.backbones.base import Backbone
from mobiledet.backbones.shufflenet_v1 import ShuffleNetV1
from mobiledet.backbones.shufflenet_v2 import ShuffleNetV2
from mobiledet.backbones.torchvision_features import TorchvisionFeatures
from mobiledet.errors import UserError
from mobiledet.layers import activation_layer, pad_as_tensorflow, replace_activations

POOLS = nn.MaxPool2d | nn.AvgPool2d


def _choose_activation(backbone: Backbone, name: str) -> None:
    """Replace ReLU and ReLU6 by another activation, such as LeakyReLU in NanoDet-Plus' ShuffleNetV2."""
    if not replace_activations(backbone, activation_layer(name)):
        raise UserError(f"backbone option activation {name}: this backbone has no ReLU or ReLU6 to replace")


def _set_norm_eps(backbone: Backbone, value: float) -> None:
    """Set the epsilon of batch normalisation."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"backbone option norm_eps is {value!r}; it must be a number between 0 and 1")
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = value


def _choose_padding(backbone: Backbone, value: str) -> None:
    """``same``: pad convolutions of stride 2 as TensorFlow does."""
    if value != "same":
        raise UserError(f"backbone option padding is {value!r}; valid is same")
    if any(isinstance(module, POOLS) for module in backbone.modules()):
        raise UserError("backbone option padding same: this backbone has pooling layers, for which it is not defined")
    pad_as_tensorflow(backbone)


def _choose_order(backbone: Backbone, value: str) -> None:
    """``released``: use the channel order of the ShuffleNet authors' released code, and V2's first unit as there."""
    if value != "released":
        raise UserError(f"backbone option order is {value!r}; valid is released")
    if not isinstance(backbone, ShuffleNetV1 | ShuffleNetV2):
        raise UserError("backbone option order released is only for ShuffleNet")
    backbone.use_released_order()


def _choose_features(backbone: Backbone, value: Any) -> None:
    """Choose the blocks of a torchvision network that give the feature maps, such as
    ``["features.13", "features.16"]``."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) for name in value):
        raise UserError(f"backbone option features is {value!r}; it must be a list of names of blocks")
    if not isinstance(backbone, TorchvisionFeatures):
        raise UserError("backbone option features is only for torchvision's networks")
    backbone.use_features(value)


# functions that change a backbone, by the names in a spec's ``backbone_options``
BACKBONE_OPTIONS: dict[str, Callable[[Backbone, Any], None]] = {
    "order": _choose_order,  # first, because it replaces layers
    "features": _choose_features,
    "activation": _choose_activation,
    "norm_eps": _set_norm_eps,
    "padding": _choose_padding,
}
