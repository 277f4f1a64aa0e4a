"""Conversion of the constants in frozen graphs of TensorFlow's detection zoo to our tensors.

The zoo's feature extractors are TF-Slim's MobileNets. Weights of convolutions have the order height, width, in, out;
those of depthwise convolutions height, width, channels, 1.
"""

import re
import struct
from collections.abc import Iterator

import torch
from torch import Tensor

from mobiledet.backbones import mobilenet_v1, mobilenet_v2
from mobiledet.errors import UserError
from mobiledet.graph_def import Graph

# options of the backbone: padding and the epsilon of batch normalisation
NORM_EPS = 1e-3
OPTIONS = {"padding": "same", "norm_eps": NORM_EPS}

Rules = tuple[tuple[str, str], ...]

WEIGHT = re.compile(r"(FeatureExtractor|BoxPredictor_\d+)/.+/(weights|depthwise_weights|biases|BatchNorm/\w+)")
PARTS = {
    "weights": "0.weight",
    "depthwise_weights": "0.weight",
    "BatchNorm/gamma": "1.weight",
    "BatchNorm/beta": "1.bias",
    "BatchNorm/moving_mean": "1.running_mean",
    "BatchNorm/moving_variance": "1.running_var",
}


def _blocks_v1() -> Iterator[tuple[str, str]]:
    number = 1
    for stage, (_, blocks, _) in enumerate(mobilenet_v1.STAGES):
        for block in range(blocks):
            yield f"MobilenetV1/Conv2d_{number}_depthwise", f"backbone.stages.{stage}.{block}.0"
            yield f"MobilenetV1/Conv2d_{number}_pointwise", f"backbone.stages.{stage}.{block}.1"
            number += 1


def _blocks_v2() -> Iterator[tuple[str, str]]:
    number = 0
    for stage, (_, _, blocks, _) in enumerate(mobilenet_v2.STAGES):
        for block in range(blocks):
            scope = f"MobilenetV2/expanded_conv{f'_{number}' if number else ''}"
            for layer in ("expand", "depthwise", "project"):
                yield f"{scope}/{layer}", f"backbone.stages.{stage}.{block}.{layer}"
            number += 1


# for each backbone, TensorFlow's scopes of its layers and our names
BACKBONES: dict[str, dict[str, str]] = {
    "mobilenet_v1_1x": {"MobilenetV1/Conv2d_0": "backbone.stem", **dict(_blocks_v1())},
    "mobilenet_v2_1x": {"MobilenetV2/Conv": "backbone.stem", **dict(_blocks_v2())},
}


def weight_constants(graph: Graph) -> dict[str, Tensor]:
    """All weights in a detector's graph by their original names, in PyTorch's order of dimensions.

    Raises:
        UserError: there are no weights, one is damaged, or the epsilon of batch normalisation differs from the zoo's.
    """
    found = {}
    for name, node in graph.nodes.items():
        if node.op.startswith("FusedBatchNorm"):
            _check_eps(graph, name)
        if node.op != "Const" or not WEIGHT.fullmatch(name):
            continue
        value = graph.constant(name)
        if value is not None:
            tensor = torch.from_numpy(value.copy()).float()
            if name.endswith("/depthwise_weights") and tensor.ndim == 4:
                tensor = tensor.permute(2, 3, 0, 1)
            elif name.endswith("/weights") and tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1)
            found[name] = tensor.contiguous()
    if not any(name.startswith("FeatureExtractor/") for name in found):
        raise UserError(
            f"{graph.source} is not an SSD of TensorFlow's detection zoo: it has no weights under FeatureExtractor/"
        )
    return found


def our_name(name: str, scopes: dict[str, str]) -> str | None:
    """Our name for a constant of a convolution or its normalisation; None if no scope matches."""
    scope, _, part = name.removeprefix("FeatureExtractor/").rpartition("/")
    if scope.endswith("/BatchNorm"):
        scope, part = scope.removesuffix("/BatchNorm"), f"BatchNorm/{part}"
    return f"{scopes[scope]}.{PARTS[part]}" if scope in scopes and part in PARTS else None


def backbone_weights(graph: Graph, key: str) -> dict[str, Tensor]:
    """The weights of the backbone in a detector's graph, by the names of a ``Classifier``.

    Raises:
        UserError: the graph has another backbone.
    """
    if key not in BACKBONES:
        raise UserError(f"graphs of TensorFlow hold weights of {' and '.join(BACKBONES)}, not of {key}")
    renamed = {our_name(name, BACKBONES[key]): tensor for name, tensor in weight_constants(graph).items()}
    found = {name: tensor for name, tensor in renamed.items() if name is not None}
    if not found:
        raise UserError(f"{graph.source} holds a detector on another backbone than {key}")
    return found


def _check_eps(graph: Graph, name: str) -> None:
    encoded = graph.nodes[name].attributes.get("epsilon", b"")
    eps = struct.unpack("<f", encoded[1:5])[0] if encoded[:1] == b"\x25" and len(encoded) >= 5 else None
    if eps is None or abs(eps - NORM_EPS) > 1e-9:
        raise UserError(f"{graph.source}: the batch normalisation {name} has the epsilon {eps}, not {NORM_EPS}")
