"""The released checkpoints of NanoDet-Plus (RangiLyu/nanodet, ``nanodet-plus-m*``), in the layout of its training code.

A checkpoint contains the weights of the last step as ``model.*`` and their moving average as ``avg_model.*``. The
average is used if there is one, as in the authors' own loading code. A file with only weights has names without prefix.
The original networks take BGR pixels and ours RGB, so the input channels of the first convolution are reversed.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from mobiledet.backbones.weight_layouts import shufflenet_v2_units
from mobiledet.detectors.nanodet_plus import BINS
from mobiledet.errors import UserError

AVERAGE, LAST = "avg_model.", "model."
SIDES = 4
COUNTER = "num_batches_tracked"
BINS_TABLE = "head.distribution_project.project"
FIRST_CONVOLUTION = "backbone.stem.0.weight"
LEVELS = 4

NECK = (
    (r"neck\.reduce_layers\.(\d)\.conv\.", r"neck.reduce.\1.0."),
    (r"neck\.reduce_layers\.(\d)\.bn\.", r"neck.reduce.\1.1."),
    (r"neck\.top_down_blocks\.(\d)\.blocks\.0\.", r"neck.top_down.\1."),
    (r"neck\.bottom_up_blocks\.(\d)\.blocks\.0\.", r"neck.bottom_up.\1."),
    (r"\.ghost1\.", ".expand."),
    (r"\.ghost2\.", ".project."),
    (r"\.primary_conv\.", ".primary."),
    (r"\.cheap_operation\.", ".cheap."),
    (r"\.shortcut\.([01])\.", r".shortcut.0.\1."),
    (r"\.shortcut\.2\.", ".shortcut.1.0."),
    (r"\.shortcut\.3\.", ".shortcut.1.1."),
    (r"neck\.downsamples\.", "neck.downsample."),
    (r"neck\.extra_lvl_in_conv\.0\.", "neck.extra_from_reduced."),
    (r"neck\.extra_lvl_out_conv\.0\.", "neck.extra_from_output."),
)
SEPARABLE = (
    (r"\.depthwise\.", ".0.0."),
    (r"\.dwnorm\.", ".0.1."),
    (r"\.pointwise\.", ".1.0."),
    (r"\.pwnorm\.", ".1.1."),
)
# regular expressions and replacements by the module that they belong to, applied one after the other
RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "backbone.": (
        (r"^backbone\.conv1\.", "backbone.stem."),
        (r"^backbone\.stage2\.", "backbone.stages.0."),
        (r"^backbone\.stage3\.", "backbone.stages.1."),
        (r"^backbone\.stage4\.", "backbone.stages.2."),
        *shufflenet_v2_units("branch1", "branch2"),
    ),
    "fpn.": ((r"^fpn\.", "neck."), *NECK, *SEPARABLE),
    "head.": ((r"^head\.cls_convs\.", "head.towers."), *SEPARABLE),
    "aux_fpn.": ((r"^aux_fpn\.", "guidance.neck."), *NECK, *SEPARABLE),
    "aux_head.": (
        (r"^aux_head\.cls_convs\.(\d)\.conv\.", r"guidance.head.class_tower.\1.0."),
        (r"^aux_head\.cls_convs\.(\d)\.gn\.", r"guidance.head.class_tower.\1.1."),
        (r"^aux_head\.reg_convs\.(\d)\.conv\.", r"guidance.head.distance_tower.\1.0."),
        (r"^aux_head\.reg_convs\.(\d)\.gn\.", r"guidance.head.distance_tower.\1.1."),
        (r"^aux_head\.gfl_cls\.", "guidance.head.classes."),
        (r"^aux_head\.gfl_reg\.", "guidance.head.distances."),
    ),
}
LAST_CONVOLUTION = re.compile(r"head\.gfl_cls\.(\d)\.(weight|bias)")
FACTOR = re.compile(r"aux_head\.scales\.(\d)\.scale")


class Translated(NamedTuple):
    """A converted checkpoint of the authors.

    Attributes:
        weights: weights of ``NanoDetPlus`` by our names, including its guidance (``guidance.*``) if the file has it.
        num_classes: number of classes that they were trained for.
        note: one line about which tensors of the file were used.
    """

    weights: dict[str, Tensor]
    num_classes: int
    note: str


def translate(tensors: Mapping[str, Tensor], source: object) -> Translated:
    """Convert a checkpoint of the authors to our layout; unknown tensors are an error.

    Shapes are not compared with a network; ``weights.check_weights`` does that.

    Args:
        tensors: the checkpoint's ``state_dict``.
        source: where they come from, for error messages.

    Raises:
        UserError: a tensor is missing or unknown, for example in a file of another network.
    """
    chosen, note = _choose_set(tensors)
    _check_bins(chosen.pop(BINS_TABLE, None), source)
    weights: dict[str, Tensor] = {}
    factors: dict[int, Tensor] = {}
    num_classes = 0
    for name, tensor in chosen.items():
        last, factor = LAST_CONVOLUTION.fullmatch(name), FACTOR.fullmatch(name)
        if last:
            num_classes = len(tensor) - SIDES * BINS
            if num_classes < 1:
                raise UserError(
                    f"{source}: {name} has {len(tensor)} rows, too few for {SIDES} x {BINS} bins and a class"
                )
            level, kind = last.groups()
            classes, distances = tensor.split((num_classes, SIDES * BINS))
            weights[f"head.classes.{level}.{kind}"] = classes.clone()
            weights[f"head.distances.{level}.{kind}"] = distances.clone()
        elif factor:
            factors[int(factor.group(1))] = tensor.reshape(())
        else:
            weights[_our_name(name, source)] = tensor
    if factors:
        if sorted(factors) != list(range(LEVELS)):
            raise UserError(f"{source} has aux_head.scales for levels {sorted(factors)} instead of 0 to {LEVELS - 1}")
        weights["guidance.head.factors"] = torch.stack([factors[level] for level in range(LEVELS)])
    if FIRST_CONVOLUTION not in weights or not num_classes:
        raise UserError(f"{source} is not a checkpoint of NanoDet-Plus: its backbone or its head is missing")
    weights[FIRST_CONVOLUTION] = weights[FIRST_CONVOLUTION].flip(1).contiguous()  # BGR to RGB
    return Translated(weights | _counters(weights), num_classes, note)


def _choose_set(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The averaged weights, else those of the last step, else those without prefix; and a note on what was left out."""
    sets: dict[str, dict[str, Tensor]] = {AVERAGE: {}, LAST: {}, "": {}}
    for name, tensor in tensors.items():
        prefix = next(prefix for prefix in sets if name.startswith(prefix))
        sets[prefix][name.removeprefix(prefix)] = tensor
    prefix = next((prefix for prefix, found in sets.items() if found), "")
    kind = {AVERAGE: "averaged weights", LAST: "weights", "": "weights"}[prefix]
    left_out = len(tensors) - len(sets[prefix])
    note = f"{len(sets[prefix])} {kind}" + (f"; {left_out} others left out" if left_out else "")
    return sets[prefix], note


def _check_bins(table: Tensor | None, source: object) -> None:
    """Check that the bins have the distances 0, 1, 2, ..., which are a constant of the network."""
    if table is not None and not torch.equal(table.float(), torch.arange(BINS).float()):
        raise UserError(f"{source} has other distance bins than 0 to {BINS - 1}: {table.tolist()}")


def _our_name(name: str, source: object) -> str:
    module = next((module for module in RULES if name.startswith(module)), None)
    if module is None:
        raise UserError(f"{source} is not a checkpoint of NanoDet-Plus: it contains {name}")
    for pattern, replacement in RULES[module]:
        name = re.sub(pattern, replacement, name)
    return name


def _counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Zeros for batch counters that a file may lack; they do not affect the result."""
    prefixes = [name.removesuffix("running_mean") for name in weights if name.endswith(".running_mean")]
    return {prefix + COUNTER: torch.tensor(0) for prefix in prefixes if prefix + COUNTER not in weights}
