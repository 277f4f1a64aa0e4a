"""Checkpoints in the layout of NanoDet's training code, made here from a network of ours under the authors' names.

``MOBILEDET_NANODET_WEIGHTS`` may name a real one.
"""

import os
import re
from pathlib import Path

import pytest
import torch

from mobiledet.backbones import build_backbone
from mobiledet.detectors import build_detector
from mobiledet.detectors.published.nanodet_plus import translate
from mobiledet.errors import UserError
from mobiledet.weights import check_weights, read_tensors

CLASSES = 3
BLOCK = {
    "expand.primary": "ghost1.primary_conv",
    "expand.cheap": "ghost1.cheap_operation",
    "project.primary": "ghost2.primary_conv",
    "project.cheap": "ghost2.cheap_operation",
}
SEPARABLE = {"0.0": "depthwise", "0.1": "dwnorm", "1.0": "pointwise", "1.1": "pwnorm"}


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    backbone = build_backbone("shufflenet_v2_0.5x", options={"activation": "leaky_relu"})
    detector = build_detector("nanodet_plus", backbone, CLASSES, (64, 64))
    detector.add_training_parts()
    for tensor in detector.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor))
    return detector


def of_backbone(name: str) -> str:
    if name.startswith("stem."):
        return name.replace("stem.", "conv1.")
    _, stage, unit, branch, part, layer, kind = name.split(".")
    place = int(layer) + ({"0": 0, "1": 2} if branch == "shortcut" else {"0": 0, "1": 3, "2": 5})[part]
    return f"stage{int(stage) + 2}.{unit}.{'branch1' if branch == 'shortcut' else 'branch2'}.{place}.{kind}"


def of_neck(name: str) -> str:
    module, _, rest = name.partition(".")
    if module == "reduce":
        level, layer, kind = rest.split(".")
        return f"reduce_layers.{level}.{('conv', 'bn')[int(layer)]}.{kind}"
    if module in ("top_down", "bottom_up"):
        number, _, rest = rest.partition(".")
        if rest.startswith("shortcut."):
            _, part, layer, kind = rest.split(".")
            rest = f"shortcut.{2 * int(part) + int(layer)}.{kind}"
        for ours, theirs in BLOCK.items():
            rest = rest.replace(ours, theirs)
        return f"{module}_blocks.{number}.blocks.0.{rest}"
    if module == "downsample":
        number, _, rest = rest.partition(".")
        return f"downsamples.{number}.{separable(rest)}"
    return f"{ {'extra_from_reduced': 'extra_lvl_in_conv', 'extra_from_output': 'extra_lvl_out_conv'}[module] }.0." + (
        separable(rest)
    )


def separable(rest: str) -> str:
    part, layer, kind = rest.split(".")
    return f"{SEPARABLE[f'{part}.{layer}']}.{kind}"


def authors_checkpoint(detector: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Without prefix."""
    theirs: dict[str, torch.Tensor] = {"head.distribution_project.project": torch.linspace(0, 7, 8)}
    state = detector.state_dict()
    for name, tensor in state.items():
        module, _, rest = name.partition(".")
        if module == "backbone":
            theirs[f"backbone.{of_backbone(rest)}"] = tensor.flip(1) if rest == "stem.0.weight" else tensor
        elif module == "neck":
            theirs[f"fpn.{of_neck(rest)}"] = tensor
        elif name.startswith("guidance.neck."):
            theirs[f"aux_fpn.{of_neck(name.removeprefix('guidance.neck.'))}"] = tensor
        elif name.startswith("head.towers."):
            level, number, rest = re.fullmatch(r"head\.towers\.(\d)\.(\d)\.(.*)", name).groups()  # type: ignore[union-attr]
            theirs[f"head.cls_convs.{level}.{number}.{separable(rest)}"] = tensor
        elif name.startswith("head.classes."):
            both = torch.cat((tensor, state[name.replace("classes", "distances")]))
            theirs[name.replace("classes", "gfl_cls")] = both
        elif name == "guidance.head.factors":
            theirs |= {f"aux_head.scales.{level}.scale": factor for level, factor in enumerate(tensor)}
        elif "_tower." in name:
            kind, number, layer, rest = re.fullmatch(r"guidance\.head\.(\w+)_tower\.(\d)\.(\d)\.(.*)", name).groups()  # type: ignore[union-attr]
            tower = {"class": "cls_convs", "distance": "reg_convs"}[kind]
            theirs[f"aux_head.{tower}.{number}.{('conv', 'gn')[int(layer)]}.{rest}"] = tensor
        elif name.startswith("guidance.head."):
            theirs[
                f"aux_head.{name.split('.')[2].replace('classes', 'gfl_cls').replace('distances', 'gfl_reg')}."
                f"{name.split('.')[3]}"
            ] = tensor
    return theirs


@pytest.mark.parametrize("prefix", ["", "model.", "avg_model."])
def test_every_tensor_finds_its_place(prefix: str) -> None:
    detector = network()
    found = translate({prefix + name: t for name, t in authors_checkpoint(detector).items()}, "x.ckpt")
    assert found.num_classes == CLASSES
    state = detector.state_dict()
    assert found.weights.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(found.weights[name], tensor), name


def test_average_is_taken_where_there_is_one() -> None:
    theirs = authors_checkpoint(network())
    both = {"model." + name: torch.zeros_like(t) for name, t in theirs.items() if "project" not in name}
    both |= {"avg_model." + name: t for name, t in theirs.items()}
    found = translate(both, "x.ckpt")
    assert torch.equal(found.weights["neck.reduce.0.0.weight"], theirs["fpn.reduce_layers.0.conv.weight"])
    assert found.note == f"{len(theirs)} averaged weights; {len(theirs) - 1} others left out"


def test_file_without_auxiliary_head_and_counters() -> None:
    detector = network()
    theirs = {
        name: tensor
        for name, tensor in authors_checkpoint(detector).items()
        if not name.startswith("aux_") and not name.endswith("num_batches_tracked")
    }
    found = translate(theirs, "x.ckpt")
    bare = build_detector("nanodet_plus", build_backbone("shufflenet_v2_0.5x"), CLASSES, (64, 64))
    check_weights(bare, found.weights, "x.ckpt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier.weight": torch.zeros(1)}, "contains classifier.weight"),
        ({"head.distribution_project.project": torch.linspace(0, 16, 17)}, "other distance bins"),
        ({"head.gfl_cls.0.weight": torch.zeros(32, 96, 1, 1)}, "too few for 4 x 8 bins"),
        ({"aux_head.scales.3.scale": None}, "levels"),
        ({"backbone.conv1.0.weight": None}, "its backbone or its head is missing"),
    ],
)
def test_files_of_other_networks(change: dict[str, torch.Tensor | None], message: str) -> None:
    theirs: dict[str, torch.Tensor | None] = {**authors_checkpoint(network()), **change}
    with pytest.raises(UserError, match=message):
        translate({name: t for name, t in theirs.items() if t is not None}, "x.ckpt")


@pytest.mark.skipif("MOBILEDET_NANODET_WEIGHTS" not in os.environ, reason="names no checkpoint of NanoDet-Plus-m")
def test_a_real_checkpoint() -> None:
    path = Path(os.environ["MOBILEDET_NANODET_WEIGHTS"])
    found = translate(read_tensors(path)["state_dict"], path)
    backbone = build_backbone("shufflenet_v2_1x", options={"activation": "leaky_relu"})
    detector = build_detector("nanodet_plus", backbone, found.num_classes, (320, 320))
    weights = {name: t for name, t in found.weights.items() if not detector.is_training_part(name)}
    check_weights(detector, weights, path)
