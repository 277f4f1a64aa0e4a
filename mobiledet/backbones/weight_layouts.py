"""Tensor names in the files of other projects, and the rules that convert them to ours in a ``Classifier``."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from mobiledet.backbones import mobilenet_v2, shufflenet_v1, shufflenet_v2
from mobiledet.backbones.base import Backbone
from mobiledet.backbones.shuffle_order import reorder_shufflenet_v1, reorder_shufflenet_v2
from mobiledet.spec import IMAGENET_MEAN, IMAGENET_STD

Rules = tuple[tuple[str, str], ...]
Weights = dict[str, Tensor]


class InputForm(NamedTuple):
    """The input that a network was trained with.

    Attributes:
        mean, std: normalisation of each channel (red, green, blue) in 0..255; the network sees ``(value - mean) /
            std``.
        bgr: whether its channels are in the order BGR; then the first convolution is reversed for our RGB.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False


IMAGENET_INPUT = InputForm(IMAGENET_MEAN, IMAGENET_STD)
RAW_BGR = InputForm((0.0,) * 3, (1.0,) * 3, bgr=True)  # the ShuffleNet authors' ToBGRTensor
FRACTIONS_BGR = InputForm((0.0,) * 3, (255.0,) * 3, bgr=True)


class Layout(NamedTuple):
    """The tensor names of one source for one family of backbones.

    Attributes:
        origin: the project whose files have this layout.
        family: prefix of the backbones' keys.
        marker: name of a tensor that only this layout has.
        rules: regular expressions and replacements, applied one after the other.
        reorder: converts renamed tensors to our channel order if it differs.
        biasless: our name of a fully connected layer that has no bias in the file; it gets zeros.
        input: input that the network was trained with.
    """

    origin: str
    family: str
    marker: str
    rules: Rules
    reorder: Callable[[Weights, Backbone], Weights] | None = None
    biasless: str = ""
    input: InputForm = IMAGENET_INPUT

    def rename(self, weights: Mapping[str, Tensor]) -> Weights:
        """The tensors by our names; names that match no rule are kept."""
        renamed = {}
        for name, tensor in weights.items():
            for pattern, replacement in self.rules:
                name = re.sub(pattern, replacement, name)
            renamed[name] = tensor
        scores = renamed.get(f"{self.biasless}.weight")
        if scores is not None:
            renamed[f"{self.biasless}.bias"] = scores.new_zeros(len(scores))
        return renamed


def numbered_blocks(first: int, blocks_of_stages: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Rules for files that number all blocks consecutively as ``features.N``."""
    number = first
    for stage, blocks in enumerate(blocks_of_stages):
        for block in range(blocks):
            yield rf"^features\.{number}\.", f"backbone.stages.{stage}.{block}."
            number += 1


def shufflenet_v2_units(shortcut: str, branch: str) -> Rules:
    """Rules for the units of ShuffleNetV2, whose two branches have other names in each project."""
    return (
        (rf"\.{shortcut}\.([01])\.", r".shortcut.0.\1."),
        (rf"\.{shortcut}\.2\.", ".shortcut.1.0."),
        (rf"\.{shortcut}\.3\.", ".shortcut.1.1."),
        (rf"\.{branch}\.([01])\.", r".branch.0.\1."),
        (rf"\.{branch}\.3\.", ".branch.1.0."),
        (rf"\.{branch}\.4\.", ".branch.1.1."),
        (rf"\.{branch}\.5\.", ".branch.2.0."),
        (rf"\.{branch}\.6\.", ".branch.2.1."),
    )


TIMM: Rules = (
    (r"^conv_stem\.", "backbone.stem.0."),
    (r"^bn1\.", "backbone.stem.1."),
    (r"^blocks\.(\d+)\.(\d+)\.", r"backbone.stages.\1.\2."),
)

RELEASED_V2: Rules = (
    (r"^first_conv\.", "backbone.stem."),
    *shufflenet_v2_units("branch_proj", "branch_main"),
    (r"^conv_last\.", "head.0."),
    (r"^classifier\.0\.", "head.3."),
)

LAYOUTS = (
    Layout(
        "timm",
        "mobilenet_v1_",
        "blocks.0.0.conv_dw.weight",
        (
            *TIMM,
            (r"\.conv_dw\.", ".0.0."),
            (r"(stages.*)\.bn1\.", r"\1.0.1."),
            (r"\.conv_pw\.", ".1.0."),
            (r"(stages.*)\.bn2\.", r"\1.1.1."),
            (r"^classifier\.", "head.2."),
        ),
    ),
    Layout(
        "timm",
        "mobilenet_v2_",
        "blocks.1.0.conv_pwl.weight",
        (
            *TIMM,
            # the first stage has no expansion, so that its names mean other layers
            (r"stages\.0\.0\.conv_dw\.", "stages.0.0.depthwise.0."),
            (r"stages\.0\.0\.bn1\.", "stages.0.0.depthwise.1."),
            (r"stages\.0\.0\.conv_pw\.", "stages.0.0.project.0."),
            (r"stages\.0\.0\.bn2\.", "stages.0.0.project.1."),
            (r"\.conv_pw\.", ".expand.0."),
            (r"(stages.*)\.bn1\.", r"\1.expand.1."),
            (r"\.conv_dw\.", ".depthwise.0."),
            (r"(stages.*)\.bn2\.", r"\1.depthwise.1."),
            (r"\.conv_pwl\.", ".project.0."),
            (r"(stages.*)\.bn3\.", r"\1.project.1."),
            (r"^conv_head\.", "head.0.0."),
            (r"^bn2\.", "head.0.1."),
            (r"^classifier\.", "head.3."),
        ),
    ),
    Layout(
        "torchvision",
        "mobilenet_v2_",
        "features.1.conv.0.0.weight",
        (
            (r"^features\.0\.", "backbone.stem."),
            *numbered_blocks(1, [n for _, _, n, _ in mobilenet_v2.STAGES]),
            (r"^features\.18\.", "head.0."),
            (r"^classifier\.1\.", "head.3."),
            # the first stage has no expansion, so that its numbers mean other layers
            (r"stages\.0\.0\.conv\.0\.", "stages.0.0.depthwise."),
            (r"stages\.0\.0\.conv\.1\.", "stages.0.0.project.0."),
            (r"stages\.0\.0\.conv\.2\.", "stages.0.0.project.1."),
            (r"\.conv\.0\.", ".expand."),
            (r"\.conv\.1\.", ".depthwise."),
            (r"\.conv\.2\.", ".project.0."),
            (r"\.conv\.3\.", ".project.1."),
        ),
    ),
    Layout(
        "the authors' ShuffleNet-Series",
        "shufflenet_v1_",
        "features.0.branch_main_1.0.weight",
        (
            (r"^first_conv\.", "backbone.stem."),
            *numbered_blocks(0, shufflenet_v1.UNITS),
            (r"\.branch_main_1\.0\.", ".branch.reduce.0."),
            (r"\.branch_main_1\.1\.", ".branch.reduce.1."),
            (r"\.branch_main_1\.3\.", ".branch.depthwise.0."),
            (r"\.branch_main_1\.4\.", ".branch.depthwise.1."),
            (r"\.branch_main_2\.", ".branch.expand."),
            (r"^classifier\.0\.", "head.2."),
        ),
        reorder_shufflenet_v1,
        biasless="head.2",
        input=RAW_BGR,
    ),
    Layout(
        "torchvision",
        "shufflenet_v2_",
        "stage2.0.branch1.0.weight",
        (
            (r"^conv1\.", "backbone.stem."),
            (r"^stage2\.", "backbone.stages.0."),
            (r"^stage3\.", "backbone.stages.1."),
            (r"^stage4\.", "backbone.stages.2."),
            *shufflenet_v2_units("branch1", "branch2"),
            (r"^conv5\.", "head.0."),
            (r"^fc\.", "head.3."),
        ),
    ),
    Layout(
        "the authors' ShuffleNet-Series",
        "shufflenet_v2_",
        "features.0.branch_main.0.weight",
        (*numbered_blocks(0, shufflenet_v2.UNITS), *RELEASED_V2),
        reorder_shufflenet_v2,
        biasless="head.3",
        input=RAW_BGR,
    ),
    Layout(
        "FastestDet",
        "shufflenet_v2_",
        "stage2.0.branch_main.0.weight",
        (
            (r"^stage2\.", "backbone.stages.0."),
            (r"^stage3\.", "backbone.stages.1."),
            (r"^stage4\.", "backbone.stages.2."),
            *RELEASED_V2,
        ),
        reorder_shufflenet_v2,
        input=FRACTIONS_BGR,
    ),
    Layout(
        "timm and the authors",
        "ghostnet_",
        "blocks.0.0.ghost1.primary_conv.0.weight",
        (
            (r"^blocks\.9\.0\.conv\.", "head.0.0."),
            (r"^blocks\.9\.0\.bn1\.", "head.0.1."),
            *TIMM,
            (r"\.ghost1\.", ".expand."),
            (r"\.ghost2\.", ".project."),
            (r"\.primary_conv\.", ".primary."),
            (r"\.cheap_operation\.", ".cheap."),
            (r"\.conv_dw\.", ".depthwise.0."),
            (r"\.bn_dw\.", ".depthwise.1."),
            (r"\.se\.conv_reduce\.", ".excite.reduce."),
            (r"\.se\.conv_expand\.", ".excite.expand."),
            (r"\.shortcut\.([01])\.", r".shortcut.0.\1."),
            (r"\.shortcut\.2\.", ".shortcut.1.0."),
            (r"\.shortcut\.3\.", ".shortcut.1.1."),
            (r"^conv_head\.", "head.2."),
            (r"^classifier\.", "head.5."),
        ),
    ),
)
