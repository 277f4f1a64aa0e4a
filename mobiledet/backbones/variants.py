"""What trained weights of others may need that a paper's network does not have: the table ``BACKBONE_OPTIONS``.

Each option changes a backbone in place, before it gets weights; a spec keeps their names and values.
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
    """Another activation in place of ReLU and ReLU6, as NanoDet-Plus has LeakyReLU in its ShuffleNetV2."""
    if not replace_activations(backbone, activation_layer(name)):
        raise UserError(f"backbone option activation {name}: this backbone has no ReLU or ReLU6 to replace")


def _set_norm_eps(backbone: Backbone, value: float) -> None:
    """The small number of batch normalisation, where it is not the one that the backbone has."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"backbone option norm_eps is {value!r}; it must be a number between 0 and 1")
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = value


def _choose_padding(backbone: Backbone, value: str) -> None:
    """``same``: convolutions of stride 2 are padded as by TensorFlow."""
    if value != "same":
        raise UserError(f"backbone option padding is {value!r}; valid is same")
    if any(isinstance(module, POOLS) for module in backbone.modules()):
        raise UserError("backbone option padding same: this backbone has pools, for which it is not defined")
    pad_as_tensorflow(backbone)


def _choose_order(backbone: Backbone, value: str) -> None:
    """``released``: channels stand as in the code that the ShuffleNet authors released, and V2's first unit has their
    shares."""
    if value != "released":
        raise UserError(f"backbone option order is {value!r}; valid is released")
    if not isinstance(backbone, ShuffleNetV1 | ShuffleNetV2):
        raise UserError("backbone option order released is for ShuffleNet alone")
    backbone.use_released_order()


def _choose_features(backbone: Backbone, value: Any) -> None:
    """The blocks of torchvision's network that give the feature maps, such as ``["features.13", "features.16"]``."""
    if not isinstance(value, list | tuple) or not value or not all(isinstance(name, str) for name in value):
        raise UserError(f"backbone option features is {value!r}; it must be a list of names of blocks")
    if not isinstance(backbone, TorchvisionFeatures):
        raise UserError("backbone option features is for torchvision's networks alone")
    backbone.use_features(value)


# what differs from the paper's network, by the names that a spec's ``backbone_options`` have
BACKBONE_OPTIONS: dict[str, Callable[[Backbone, Any], None]] = {
    "order": _choose_order,  # first: it makes layers anew
    "features": _choose_features,
    "activation": _choose_activation,
    "norm_eps": _set_norm_eps,
    "padding": _choose_padding,
}
