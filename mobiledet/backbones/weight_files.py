"""Reads files of trained weights: recognises their source, and extracts the backbone and the input normalisation."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mobiledet.backbones import tensorflow_names
from mobiledet.backbones.torchvision_features import PREFIX, REDUCED_TAIL
from mobiledet.backbones.weight_layouts import IMAGENET_INPUT, LAYOUTS, InputForm, Layout, Weights
from mobiledet.errors import UserError
from mobiledet.graph_def import is_graph, read_graph
from mobiledet.weights import CHECKPOINT_FORMAT, first_line, read_tensors

TORCHVISION_INPUT = IMAGENET_INPUT
HALF_RANGE_INPUT = InputForm((127.5,) * 3, (127.5,) * 3)
FIRST_CONVOLUTION = "backbone.stem.0.weight"


class WeightFile(NamedTuple):
    """The backbone's weights in a file.

    Attributes:
        weights: weights by the names of a ``Classifier``, or by torchvision's own names for its networks.
        layout: layout of the file; None for our own and torchvision's.
        input: input that the network was trained with.
        options: options of the backbone that the weights need, except for those that depend on its size, which
            ``pretrained`` adds.
    """

    weights: Weights
    layout: Layout | None
    input: InputForm
    options: dict[str, Any]


class DetectorForm(NamedTuple):
    """A file format of another project's detector whose backbone is one of ours.

    Attributes:
        marker: name of a tensor that only this format has.
        backbones: regular expression of the keys of its backbones.
        rename: gives a backbone tensor's name in the classifier's file, and None for other tensors.
        input: input that the network was trained with.
        options: options of the backbone that the weights need.
    """

    marker: re.Pattern[str]
    backbones: re.Pattern[str]
    rename: Callable[[str], str | None]
    input: InputForm
    options: dict[str, Any]


def ssdlite_name(name: str) -> str | None:
    """The classifier's name of a backbone tensor in torchvision's SSDLite, which splits MobileNetV3 in two; None for
    other tensors."""
    if match := re.match(r"backbone\.features\.0\.13\.(.+)", name):
        return f"features.13.block.0.{match[1]}"
    if match := re.match(r"backbone\.features\.0\.(.+)", name):
        return f"features.{match[1]}"
    if match := re.match(r"backbone\.features\.1\.0\.(\d+)\.(.+)", name):
        return f"features.13.block.{match[1]}.{match[2]}"
    if match := re.match(r"backbone\.features\.1\.(\d+)\.(.+)", name):
        return f"features.{int(match[1]) + 13}.{match[2]}"
    return None


def faster_rcnn_name(name: str) -> str | None:
    """The classifier's name of a backbone tensor in torchvision's Faster R-CNN; None for other tensors."""
    return f"features.{name.removeprefix('backbone.body.')}" if name.startswith("backbone.body.") else None


def _nanodet_name(name: str) -> str | None:
    plain = name.removeprefix("avg_model.").removeprefix("model.")
    return plain.removeprefix("backbone.") if plain.startswith("backbone.") else None


MOBILENET_V3 = re.escape(f"{PREFIX}mobilenet_v3_large")
DETECTOR_FORMS = (
    DetectorForm(
        re.compile(r"(avg_model\.|model\.)?head\.gfl_cls\.0\.weight"),
        re.compile(r"shufflenet_v2_.*"),
        _nanodet_name,
        InputForm(*IMAGENET_INPUT[:2], bgr=True),
        {"activation": "leaky_relu"},
    ),
    DetectorForm(
        re.compile(r"head\.classification_head\.module_list\.0\.1\.weight"),
        re.compile(MOBILENET_V3 + re.escape(REDUCED_TAIL)),
        ssdlite_name,
        HALF_RANGE_INPUT,
        {},
    ),
    DetectorForm(
        re.compile(r"roi_heads\.box_predictor\.cls_score\.weight"),
        re.compile(MOBILENET_V3),
        faster_rcnn_name,
        TORCHVISION_INPUT,
        {"norm_eps": 1e-5},
    ),
)


def read_weight_file(path: Path, key: str) -> WeightFile:
    """Read the weights of a backbone from a file.

    Args:
        path: a checkpoint or state dict, or a TensorFlow graph.
        key: key of the backbone.

    Raises:
        UserError: the file cannot be read, or its format is unknown for this backbone.
    """
    if is_graph(path):
        return _from_graph(path, key)
    content = read_tensors(path)
    if isinstance(content, dict) and content.get("format") == CHECKPOINT_FORMAT:
        return _of_checkpoint(content, path, key)
    weights = tensors_of(content, path)
    for form in DETECTOR_FORMS:
        if any(form.marker.fullmatch(name) for name in weights):
            if not form.backbones.fullmatch(key):
                raise UserError(f"{path} holds a detector on another backbone than {key}")
            return _of_detector(weights, form, key, path)
    own = any(name.startswith(("backbone.", "stem.", "stages.", "body.")) for name in weights)
    if own or key.startswith(PREFIX):
        return WeightFile(weights, None, IMAGENET_INPUT, {})
    layout = recognise(weights, key, path)
    return WeightFile(oriented(layout.rename(weights), layout.input), layout, layout.input, {})


def tensors_of(content: Any, path: Path) -> Weights:
    """The named tensors in the file of a training script, possibly inside a wrapper dictionary.

    Raises:
        UserError: the file has no named tensors.
    """
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content or not all(isinstance(t, Tensor) for t in content.values()):
        raise UserError(f"{path} holds no weights: a state dict of named tensors was expected")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def oriented(weights: Weights, form: InputForm) -> Weights:
    """The weights with the first convolution changed from BGR to RGB if necessary."""
    if not form.bgr or FIRST_CONVOLUTION not in weights:
        return weights
    return {**weights, FIRST_CONVOLUTION: weights[FIRST_CONVOLUTION].flip(1).contiguous()}


def _of_checkpoint(content: Mapping[str, Any], path: Path, key: str) -> WeightFile:
    """The backbone in a mobiledet checkpoint; neck and head are ignored."""
    try:
        spec = json.loads(content["spec"])
        trained, options = spec["backbone"], dict(spec.get("backbone_options", {}))
        form = InputForm(tuple(spec["input"]["mean"]), tuple(spec["input"]["std"]))
        weights = {name: tensor for name, tensor in content["weights"].items() if name.startswith("backbone.")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is a damaged checkpoint: {first_line(error)}") from error
    if trained != key:
        raise UserError(f"{path} holds a detector on {trained}, not on {key}; choose the backbone it has")
    return WeightFile(weights, None, form, options)


def _of_detector(weights: Weights, form: DetectorForm, key: str, path: Path) -> WeightFile:
    averaged = {name: tensor for name, tensor in weights.items() if name.startswith("avg_model.")}
    renamed = {form.rename(name): tensor for name, tensor in (averaged or weights).items()}
    backbone = {name: tensor for name, tensor in renamed.items() if name is not None}
    if key.startswith(PREFIX):
        return WeightFile(backbone, None, form.input, form.options)
    layout = recognise(backbone, key, path)
    return WeightFile(oriented(layout.rename(backbone), form.input), layout, form.input, form.options)


def _from_graph(path: Path, key: str) -> WeightFile:
    graph = read_graph(path)
    weights = tensorflow_names.backbone_weights(graph, key)
    return WeightFile(weights, None, HALF_RANGE_INPUT, dict(tensorflow_names.OPTIONS))


def recognise(weights: Weights, key: str, origin: object) -> Layout:
    """Recognise the layout of a backbone's weights by their names.

    Raises:
        UserError: the layout is unknown.
    """
    layouts = [layout for layout in LAYOUTS if key.startswith(layout.family)]
    for layout in layouts:
        if layout.marker in weights:
            return layout
    readable = ", ".join(dict.fromkeys(["mobiledet", *(layout.origin for layout in layouts)]))
    first = next(iter(weights), "nothing")
    raise UserError(
        f"{origin} is in no known layout of {key} (it begins with {first}); readable are files of {readable}"
    )
