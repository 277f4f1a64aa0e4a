"""Pretrained weights for backbones: from ImageNet classifiers of torchvision and timm, or from a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torchvision
from torch import Tensor

from mobiledet.backbones.base import Backbone, Classifier
from mobiledet.backbones.shuffle_order import released_order_needed
from mobiledet.backbones.torchvision_features import PREFIX
from mobiledet.backbones.weight_files import WeightFile, read_weight_file, recognise
from mobiledet.backbones.weight_layouts import IMAGENET_INPUT
from mobiledet.errors import UserError
from mobiledet.spec import IMAGENET_MEAN, IMAGENET_STD
from mobiledet.weights import check_weights, first_line, load_weights

IMAGENET = "imagenet"
COUNTER = ".num_batches_tracked"
HALF_RANGE = (127.5, 127.5, 127.5)

Weights = dict[str, Tensor]


class Source(NamedTuple):
    """The source of the published ImageNet weights of a backbone.

    Attributes:
        library: the library that downloads them.
        name: name of the network in that library.
        mean, std: normalisation of each channel in 0..255 that they were trained with.
    """

    library: Literal["torchvision", "timm"]
    name: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


SOURCES = {
    "mobilenet_v1_1x": Source("timm", "mobilenetv1_100.ra4_e3600_r224_in1k", HALF_RANGE, HALF_RANGE),
    "mobilenet_v2_0.5x": Source("timm", "mobilenetv2_050.lamb_in1k"),
    "mobilenet_v2_1x": Source("torchvision", "mobilenet_v2"),
    "mobilenet_v2_1.4x": Source("timm", "mobilenetv2_140.ra_in1k"),
    "shufflenet_v2_0.5x": Source("torchvision", "shufflenet_v2_x0_5"),
    "shufflenet_v2_1x": Source("torchvision", "shufflenet_v2_x1_0"),
    "shufflenet_v2_1.5x": Source("torchvision", "shufflenet_v2_x1_5"),
    "shufflenet_v2_2x": Source("torchvision", "shufflenet_v2_x2_0"),
    "ghostnet_1x": Source("timm", "ghostnet_100.in1k"),
}


class Needs(NamedTuple):
    """What a model needs to use certain weights.

    Attributes:
        mean, std: normalisation of each channel in 0..255: the network sees ``(value - mean) / std``.
        options: options of the backbone, see ``BACKBONE_OPTIONS``.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    options: dict[str, Any]


def needs_of(key: str, source: str | Path, backbone: Backbone | None = None) -> Needs:
    """The input normalisation and backbone options that the weights of a source need; without a source ImageNet's
    statistics and no options.

    Args:
        key: key of the backbone.
        source: as in ``load_pretrained``, or empty.
        backbone: a backbone of that key without options; needed for a file.

    Raises:
        UserError: the file cannot be read, or its format is unknown for this backbone.
    """
    if not source or str(source) == IMAGENET:
        published = SOURCES.get(key) if source else None
        mean, std = (published.mean, published.std) if published else (IMAGENET_MEAN, IMAGENET_STD)
        return Needs(mean, std, {})
    assert backbone is not None, "a file's needs depend on the network's size"
    file = read_weight_file(Path(source), key)
    options = _options_of(file, backbone)
    (red, green, blue), (red_std, green_std, blue_std) = file.input.mean, file.input.std
    return Needs((red, green, blue), (red_std, green_std, blue_std), options)


def load_pretrained(model: Backbone | Classifier, key: str, source: str | Path) -> None:
    """Load trained weights into a backbone or a classifier; unknown tensors in the source are an error.

    Args:
        model: the network, built with the options that ``needs_of`` returns; a backbone ignores the weights of the
            source's classifier head.
        key: key of the backbone.
        source: ``imagenet``, or a file: a checkpoint or state dict of mobiledet (with the same backbone), torchvision,
            timm or the ShuffleNet authors, a detector of torchvision or NanoDet, or a graph of TensorFlow's detection
            zoo.

    Raises:
        UserError: there are no such weights, they cannot be downloaded or read, or they belong to another network.
    """
    backbone = model.backbone if isinstance(model, Classifier) else model
    if str(source) == IMAGENET:
        origin, file = f"the ImageNet weights of {key}", _published(_fetch(key), key)
    else:
        origin, file = str(source), read_weight_file(Path(source), key)
    for name, value in _options_of(file, backbone).items():
        if name not in backbone.built_with:
            raise UserError(
                f"{origin} has weights of a {key} with the backbone option {name}={value}, without which the results "
                "would be wrong; build the backbone with it, as `mobiledet train --pretrained` does"
            )
    weights = _in_our_layout(file, key, backbone, origin)
    if isinstance(model, Classifier):
        load_weights(model, weights, origin)
    else:
        load_weights(model, _of_backbone(weights), origin)


def _options_of(file: WeightFile, backbone: Backbone) -> dict[str, Any]:
    """The options that a backbone needs for the weights of a file."""
    needs_order = file.layout and file.layout.reorder and released_order_needed(backbone)
    return {**file.options, **({"order": "released"} if needs_order else {})}


def _published(weights: Weights, key: str) -> WeightFile:
    if key.startswith(PREFIX):
        return WeightFile(weights, None, IMAGENET_INPUT, {})
    layout = recognise(weights, key, f"the ImageNet weights of {key}")
    return WeightFile(layout.rename(weights), layout, layout.input, {})


def _fetch(key: str) -> Weights:
    """The published weights, downloaded by torchvision or timm or read from their cache."""
    if key.startswith(PREFIX):
        published = Source("torchvision", key.removeprefix(PREFIX))
    elif key in SOURCES:
        published = SOURCES[key]
    else:
        raise UserError(
            f"torchvision and timm have no ImageNet weights of {key}; train from random weights, give a file with "
            f"--pretrained FILE, or choose one of {', '.join(SOURCES)}"
        )
    try:
        if published.library == "torchvision":
            entry = torchvision.models.get_model_weights(published.name).DEFAULT
            weights: Weights = entry.get_state_dict(check_hash=True, weights_only=True, map_location="cpu")
        else:
            import timm

            weights = timm.create_model(published.name, pretrained=True).state_dict()
    except ModuleNotFoundError as error:
        raise UserError(
            f"the ImageNet weights of {key} come from the package timm, which is not installed; "
            "install mobiledet[pretrained], or give a file with --pretrained FILE"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"cannot fetch the ImageNet weights of {key} ({published.library}'s {published.name}): "
            f"{first_line(error)}; without an internet connection, save that state dict on another machine and give "
            "--pretrained FILE"
        ) from error
    return weights


def _in_our_layout(file: WeightFile, key: str, backbone: Backbone, origin: str) -> Weights:
    """The weights with names and channel order as in ``Classifier``, all checked; the whole head may be missing."""
    own = backbone.state_dict()
    weights = file.weights
    if weights.keys() & own.keys():
        weights = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    elif key.startswith(PREFIX) and not any(name.startswith("backbone.") for name in weights):
        weights = _split_torchvision(weights, own)
    # files of PyTorch before 0.4.1 lack the batch counters, which do not affect the result
    counters = {f"backbone.{name}": own[name] for name in own if name.endswith(COUNTER)}
    weights = counters | weights
    check_weights(backbone, _of_backbone(weights), origin)
    head = {name for name in weights if not name.startswith("backbone.")}
    differing = sorted(name for name in head ^ backbone.head_tensors() if not name.endswith(COUNTER)) if head else []
    if differing:
        raise UserError(
            f"{origin} is a checkpoint of another model: {len(differing)} tensors beyond the backbone differ, "
            f"such as {differing[0]}"
        )
    reorder = file.layout.reorder if file.layout else None
    if reorder is None or getattr(backbone, "released", False):
        return weights
    return reorder(weights, backbone)


def _split_torchvision(weights: Weights, own: Mapping[str, Tensor]) -> Weights:
    """Split the tensors of a torchvision network into those of the features, under ``body``, and of the head."""
    return {
        f"backbone.body.{name}" if f"body.{name}" in own else f"head.{name}": tensor for name, tensor in weights.items()
    }


def _of_backbone(weights: Mapping[str, Tensor]) -> Weights:
    return {name.removeprefix("backbone."): t for name, t in weights.items() if name.startswith("backbone.")}
