"""Trained weights for backbones: ImageNet classifiers of torchvision and timm, or a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torchvision
from torch import Tensor

from mobiledet.backbones.base import Backbone, Classifier
from mobiledet.backbones.torchvision_features import PREFIX
from mobiledet.backbones.weight_layouts import LAYOUTS, Layout
from mobiledet.errors import UserError
from mobiledet.spec import IMAGENET_MEAN, IMAGENET_STD
from mobiledet.weights import CHECKPOINT_FORMAT, check_weights, first_line, load_weights, read_tensors

IMAGENET = "imagenet"
COUNTER = ".num_batches_tracked"
HALF_RANGE = (127.5, 127.5, 127.5)

Weights = dict[str, Tensor]


class Source(NamedTuple):
    """Where the published ImageNet weights of a backbone are.

    Attributes:
        library: that fetches them.
        name: of the network there.
        mean, std: of each channel in 0..255, with which they were trained.
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


def load_pretrained(model: Backbone | Classifier, key: str, source: str | Path) -> None:
    """Give a backbone or a classifier trained weights; every tensor of the source is accounted for.

    Args:
        model: gets the weights; a backbone leaves those of the source's classifier head.
        key: of the backbone.
        source: ``imagenet``, or a file: a checkpoint or state dict of mobiledet (of the same backbone), torchvision,
            timm or the ShuffleNet authors.

    Raises:
        UserError: there are no such weights, they cannot be fetched or read, or they belong to another network.
    """
    if str(source) == IMAGENET:
        weights, origin = _fetch(key), f"the ImageNet weights of {key}"
    else:
        weights, origin = _read(Path(source), key), str(source)
    backbone = model.backbone if isinstance(model, Classifier) else model
    weights = _in_our_layout(weights, key, backbone, origin)
    if isinstance(model, Classifier):
        load_weights(model, weights, origin)
    else:
        load_weights(model, _of_backbone(weights), origin)


def input_statistics(key: str, source: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation in 0..255 that the weights of ``source`` expect; ImageNet's for a file."""
    published = SOURCES.get(key) if source == IMAGENET else None
    return (published.mean, published.std) if published else (IMAGENET_MEAN, IMAGENET_STD)


def _fetch(key: str) -> Weights:
    """The published weights by torchvision's or timm's own download, or from its cache."""
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
            f"{first_line(error)}; without a network, save that state dict elsewhere and give --pretrained FILE"
        ) from error
    return weights


def _read(path: Path, key: str) -> Weights:
    content = read_tensors(path)
    if isinstance(content, dict) and content.get("format") == CHECKPOINT_FORMAT:
        return _backbone_of_checkpoint(content, path, key)
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content or not all(isinstance(t, Tensor) for t in content.values()):
        raise UserError(f"{path} holds no weights: a state dict of named tensors was expected")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _backbone_of_checkpoint(content: dict[str, Any], path: Path, key: str) -> Weights:
    """The backbone of a detector; what its neck and head learned is for its own classes."""
    trained = json.loads(content["spec"])["backbone"]
    if trained != key:
        raise UserError(f"{path} holds a detector on {trained}, not on {key}; choose the backbone it has")
    return {name: tensor for name, tensor in content["weights"].items() if name.startswith("backbone.")}


def _in_our_layout(weights: Weights, key: str, backbone: Backbone, origin: str) -> Weights:
    """Names and channel order as in ``Classifier``, every tensor checked; the head may be left out as a whole."""
    own = backbone.state_dict()
    reorder = None
    if weights.keys() & own.keys():
        weights = {f"backbone.{name}": tensor for name, tensor in weights.items()}
    elif not any(name.startswith("backbone.") for name in weights):
        if key.startswith(PREFIX):
            weights = _split_torchvision(weights, own)
        else:
            layout = _recognise(weights, key, origin)
            weights, reorder = layout.rename(weights), layout.reorder
    # files of PyTorch before 0.4.1 lack the counters of batches, which play no part in the result
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
    return reorder(weights, backbone) if reorder else weights


def _split_torchvision(weights: Weights, own: Mapping[str, Tensor]) -> Weights:
    """A torchvision network's tensors, those of the features under ``body``, the others in the head."""
    return {
        f"backbone.body.{name}" if f"body.{name}" in own else f"head.{name}": tensor for name, tensor in weights.items()
    }


def _recognise(weights: Weights, key: str, origin: str) -> Layout:
    layouts = [layout for layout in LAYOUTS if key.startswith(layout.family)]
    for layout in layouts:
        if layout.marker in weights:
            return layout
    readable = ", ".join(["mobiledet", *(layout.origin for layout in layouts)])
    raise UserError(
        f"{origin} is in no known layout of {key} (it begins with {next(iter(weights))}); readable are files of "
        f"{readable}"
    )


def _of_backbone(weights: Mapping[str, Tensor]) -> Weights:
    return {name.removeprefix("backbone."): t for name, t in weights.items() if name.startswith("backbone.")}
