"""Conversion from the channel order of the ShuffleNet authors' released code (ShuffleNet-Series) to that of the papers.

Their code shuffles by the inverse permutation (V1), or takes even and odd channels where the paper shuffles and splits
(V2). The network computes the same function if convolution weights are permuted: each of our channels corresponds to
one of theirs that is computed by the same convolution and used by the same one.
"""

from typing import cast

import torch
from torch import Tensor, nn

from mobiledet.backbones import shufflenet_v1, shufflenet_v2
from mobiledet.backbones.base import Backbone
from mobiledet.layers import channel_shuffle

Weights = dict[str, Tensor]


def reorder_shufflenet_v1(weights: Weights, backbone: Backbone) -> Weights:
    """Convert the weights of the authors' ShuffleNetV1, already renamed, to our channel order."""
    result = dict(weights)
    for path, module in backbone.named_modules():
        if isinstance(module, shufflenet_v1.Branch) and module.groups > 1:
            _reorder_branch(result, f"backbone.{path}.", module.groups)
    return result


def released_order_needed(backbone: Backbone) -> bool:
    """Whether the authors' weights need a network that shuffles as their code does, because no permutation exists.

    In V1 the two shuffles may connect groups by different numbers of channels; in V2 the shortcut of the first unit has
    as many channels as the stem in their code, which is half of the unit's channels only at 0.5x.
    """
    if isinstance(backbone, shufflenet_v2.ShuffleNetV2):
        return backbone.feature_info[0].channels != 2 * shufflenet_v2.STEM_CHANNELS
    branches = [module for module in backbone.modules() if isinstance(module, shufflenet_v1.Branch)]
    shapes = {(b.groups, cast(nn.Conv2d, b.expand[0]).in_channels // b.groups) for b in branches if b.groups > 1}
    return any(_branch_order(groups, width) is None for groups, width in shapes)


def _branch_order(groups: int, width: int) -> Tensor | None:
    """For each channel between the convolutions of a V1 branch, with ``width`` channels per group, the corresponding
    channel of theirs; None if some have none."""
    channels = torch.arange(groups * width)
    position = _shuffle(channels, groups).argsort()
    # a channel's group in the first convolution and in the second one
    ours = channels // width * groups + position // width
    theirs = channels // width * groups + channels % groups
    return _match(ours, theirs)


def _reorder_branch(weights: Weights, prefix: str, groups: int) -> None:
    """Permute the channels between the two grouped convolutions."""
    expand = weights[f"{prefix}expand.0.weight"]
    width = expand.shape[1]  # channels of a group
    shuffled = _shuffle(torch.arange(groups * width), groups)
    order = _branch_order(groups, width)
    assert order is not None, "released_order_needed says so before"
    _permute_rows(weights, f"{prefix}reduce.", order)
    _permute_rows(weights, f"{prefix}depthwise.", order[shuffled])
    columns = (order[shuffled] // groups).view(groups, 1, width, 1, 1)
    grouped = expand.view(groups, -1, width, 1, 1).take_along_dim(columns, dim=2)
    weights[f"{prefix}expand.0.weight"] = grouped.view_as(expand)


def reorder_shufflenet_v2(weights: Weights, backbone: Backbone) -> Weights:
    """Convert the weights of the authors' ShuffleNetV2, already renamed, to our channel order."""
    result = dict(weights)
    carried: Tensor | None = None  # the authors' channel at each of our positions, between stages
    for index, stage in enumerate(backbone.get_submodule("stages").children()):
        assert isinstance(stage, nn.Sequential)
        prefix = f"backbone.stages.{index}."
        made, read, given = _stage_order(backbone.feature_info[index].channels, len(stage))
        if carried is not None:
            _permute_rows(result, f"{prefix}0.shortcut.0.", carried)
            _permute_columns(result, f"{prefix}0.shortcut.1.0.weight", carried)
            _permute_columns(result, f"{prefix}0.branch.0.0.weight", carried)
        _permute_rows(result, f"{prefix}0.shortcut.1.", made[0])
        _permute_rows(result, f"{prefix}0.branch.2.", made[1])
        for unit in range(1, len(stage)):
            _permute_columns(result, f"{prefix}{unit}.branch.0.0.weight", read[unit])
            _permute_rows(result, f"{prefix}{unit}.branch.2.", made[unit + 1])
        carried = given
    if "head.0.0.weight" in result:
        assert carried is not None
        _permute_columns(result, "head.0.0.weight", carried)
    return result


def _stage_order(channels: int, units: int) -> tuple[list[Tensor], dict[int, Tensor], Tensor]:
    """The channels of theirs that correspond to ours in a stage.

    Returns:
        for the outputs of each convolution that computes channels (shortcut and branch of unit 0, branch of each other
        unit), for the inputs of the branch of each unit from 1 on, and for the output of the stage.
    """
    half = channels // 2
    our_reader, our_place = trace_channels(channels, units, as_in_paper=True)
    their_reader, their_place = trace_channels(channels, units, as_in_paper=False)
    made = []
    for ours, theirs in zip(our_reader.split(half), their_reader.split(half), strict=True):
        order = _match(ours, theirs)
        assert order is not None, "both ways halve the same number of channels in every unit"
        made.append(order)
    twin = torch.cat([order + number * half for number, order in enumerate(made)])

    def read_by(reader: int) -> Tensor:
        channel = (our_reader == reader).nonzero().flatten()
        channel = channel[our_place[channel].argsort()]
        return their_place[twin[channel]]

    return made, {unit: read_by(unit) for unit in range(1, units)}, read_by(units)


def trace_channels(channels: int, units: int, as_in_paper: bool = True) -> tuple[Tensor, Tensor]:
    """Follow each channel from the convolution that computes it to the one that uses it.

    A stage computes ``channels`` channels in unit 0 and half as many in each other unit; they are numbered in this
    order.

    Returns:
        the unit whose branch uses each channel (``units`` for the output of the stage), and its position there.
    """
    half = channels // 2
    reader = torch.empty(half * (units + 1), dtype=torch.int64)
    place = torch.empty_like(reader)
    state = torch.arange(channels)
    for unit in range(1, units):
        if as_in_paper:
            kept, changed = _shuffle(state, 2).chunk(2)
        else:
            kept, changed = state[0::2], state[1::2]
        reader[changed] = unit
        place[changed] = torch.arange(half)
        state = torch.cat((kept, torch.arange(half * (unit + 1), half * (unit + 2))))
    if as_in_paper:
        state = _shuffle(state, 2)
    reader[state] = units
    place[state] = torch.arange(channels)
    return reader, place


def _shuffle(channels: Tensor, groups: int) -> Tensor:
    return channel_shuffle(channels.view(1, -1, 1, 1), groups).flatten()


def _match(ours: Tensor, theirs: Tensor) -> Tensor | None:
    """For each of our channels, one of theirs with the same value; None if the numbers of values differ."""
    our_order, their_order = ours.argsort(stable=True), theirs.argsort(stable=True)
    if not torch.equal(ours[our_order], theirs[their_order]):
        return None
    matched = torch.empty_like(our_order)
    matched[our_order] = their_order
    return matched


def _permute_rows(weights: Weights, prefix: str, order: Tensor) -> None:
    """Output channels of a convolution and its normalisation."""
    for name, tensor in weights.items():
        if name.startswith(prefix) and tensor.ndim > 0:
            weights[name] = tensor[order]


def _permute_columns(weights: Weights, name: str, order: Tensor) -> None:
    """Input channels of an ordinary convolution."""
    weights[name] = weights[name][:, order]
