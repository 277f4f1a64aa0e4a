"""Torchvision's classifiers as backbones, for comparison: ``torchvision:NAME``."""

import copy
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
import torchvision
from torch import Tensor, fx, nn
from torchvision.models import mobilenetv2, mobilenetv3
from torchvision.models.feature_extraction import NodePathTracer, create_feature_extractor

from mobiledet.backbones.base import Backbone, FeatureInfo
from mobiledet.errors import UserError, unknown_name
from mobiledet.layers import NormLayer

PREFIX = "torchvision:"
REDUCED_TAIL = "-reduced_tail"  # half the channels in the last stage (MobileNetV3, arXiv:1905.02244, section 6.3)
STRIDES = (8, 16, 32)
PROBE_SIDE = 64  # pixels; no network pools its last map to 2 x 2, so that its strides can be told from the shapes


class TorchvisionFeatures(Backbone):
    """The last block at each of the strides 8, 16 and 32 of a torchvision classifier, randomly initialised.

    A block is a child module of the network or a child of such a child (``layer3``, ``features.12``). The body keeps
    torchvision's names. SSDLite predicts from the expansion in the first block of stride 32 if there is one
    (MobileNetV2 and V3), as in torchvision's own SSDLite.

    Args:
        name: one of ``torchvision_names()``.
        norm_layer: makes the normalisation layer from a number of channels; only for networks with this argument.

    Raises:
        UserError: the network has no map at one of the strides.
    """

    def __init__(self, name: str, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        super().__init__()
        self.name = name
        self.options: dict[str, Any] = {} if norm_layer is nn.BatchNorm2d else {"norm_layer": norm_layer}
        if name.endswith(REDUCED_TAIL):
            self.options["reduced_tail"] = True
        network = self._network(num_classes=1)
        blocks = _last_blocks(network, name)
        self.feature_info = tuple(FeatureInfo(block, blocks[block][0], blocks[block][1]) for block in blocks)
        self.expansion = _expansion(network, self.feature_info[-2].name)
        nodes = [*blocks, self.expansion.name] if self.expansion else list(blocks)
        self.body = create_feature_extractor(network, nodes).train()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See ``Backbone.forward``."""
        maps = self.body(images)
        return tuple(maps[info.name] for info in self.feature_info)

    def check_size(self, image_size: tuple[int, int]) -> None:
        """See ``Backbone.check_size``; runs the network on the meta device if a side is not a multiple of 32."""
        if all(side % STRIDES[-1] == 0 for side in image_size):
            return
        network = copy.deepcopy(self).to("meta").eval()
        try:
            maps = network(torch.empty(1, 3, *image_size, device="meta"))
            shapes = [tuple(feature.shape[2:]) for feature in maps]
        except (AssertionError, RuntimeError, ValueError):  # parts of maps that do not fit each other
            shapes = []
        if shapes != [tuple(-(-side // info.stride) for side in image_size) for info in self.feature_info]:
            raise UserError(
                f"backbone {PREFIX}{self.name} needs an image whose sides are multiples of {STRIDES[-1]}, not "
                f"{image_size[0]} x {image_size[1]}"
            )

    def use_features(self, blocks: Sequence[str]) -> None:
        """Use the maps of other blocks, finest first; all layers get new random weights.

        Raises:
            UserError: the network has no such block, or the block gives no map.
        """
        network = self._network(num_classes=1)
        shapes = _block_shapes(network, self.name)
        for block in blocks:
            if block not in shapes:
                raise unknown_name(f"block of {PREFIX}{self.name}", block, shapes)
        self.feature_info = tuple(
            FeatureInfo(block, shapes[block][1], PROBE_SIDE // shapes[block][2]) for block in blocks
        )
        self.expansion = None
        self.body = create_feature_extractor(network, list(blocks)).train()

    @property
    def ssd_info(self) -> tuple[FeatureInfo, ...]:
        """The expansion at stride 16, if there is one, or the map at stride 16; and the map at stride 32."""
        return self.expansion or self.feature_info[-2], self.feature_info[-1]

    def ssd_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W images to the two maps of ``ssd_info``."""
        maps = self.body(images)
        return tuple(maps[info.name] for info in self.ssd_info)

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The layers of torchvision's network after the last feature map, with their original names."""
        network = self._network(num_classes).eval()
        tracer = NodePathTracer()
        nodes = list(tracer.trace(network).nodes)
        last = self.feature_info[-1].name
        inside = [node for node in nodes if f"{tracer.node_to_qualname.get(node)}.".startswith(f"{last}.")]
        graph = fx.Graph()
        copies = {inside[-1]: graph.placeholder("features")}
        for node in nodes[nodes.index(inside[-1]) + 1 :]:
            copies[node] = graph.node_copy(node, copies.__getitem__)
        return fx.GraphModule(network, graph)

    def _network(self, num_classes: int) -> nn.Module:
        network: nn.Module = torchvision.models.get_model(
            self.name.removesuffix(REDUCED_TAIL), weights=None, num_classes=num_classes, **self.options
        )
        return network


@cache
def torchvision_names() -> tuple[str, ...]:
    """Names of all classifiers of torchvision, and of MobileNetV3 with the reduced tail of torchvision's SSDLite."""
    names = torchvision.models.list_models(module=torchvision.models)
    return tuple(names + [name + REDUCED_TAIL for name in names if name.startswith("mobilenet_v3")])


def _expansion(network: nn.Module, last_fine_block: str) -> FeatureInfo | None:
    """The expansion at stride 16 in the inverted residual that follows the last block at that stride."""
    parent, _, number = last_fine_block.rpartition(".")
    if not number.isdigit():
        return None
    following = f"{parent}.{int(number) + 1}"
    block = network.get_submodule(following)
    if not isinstance(block, mobilenetv2.InvertedResidual | mobilenetv3.InvertedResidual):
        return None
    layers = next(name for name, _ in block.named_children())  # conv in MobileNetV2, block in V3
    path = f"{following}.{layers}.0"
    channels: int = network.get_submodule(f"{path}.0").out_channels  # type: ignore[assignment]  # a convolution
    return FeatureInfo(path, channels, 16)


def _last_blocks(network: nn.Module, name: str) -> dict[str, tuple[int, int]]:
    """Paths of the last blocks at each stride, with their channels and strides, finest first."""
    shapes = _block_shapes(network, name)
    last = {
        stride: path
        for path, shape in shapes.items()
        for stride in STRIDES
        if shape[2:] == (PROBE_SIDE // stride, PROBE_SIDE // stride)
    }
    if set(last) != set(STRIDES):
        raise _no_features(name)
    return {last[stride]: (shapes[last[stride]][1], stride) for stride in STRIDES}


def _block_shapes(network: nn.Module, name: str) -> dict[str, torch.Size]:
    """Shapes of the output maps of all blocks for a square image of ``PROBE_SIDE``, in the order of execution."""
    shapes: dict[str, torch.Size] = {}

    def record(path: str, output: object) -> None:
        if isinstance(output, Tensor):
            shapes.pop(path, None)
            shapes[path] = output.shape

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, path=path: record(path, output))
        for path, module in network.named_modules()
        if path and path.count(".") <= 1
    ]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE))
    except (AssertionError, RuntimeError, ValueError) as error:  # a network that supports only one image size
        raise _no_features(name) from error
    finally:
        for hook in hooks:
            hook.remove()
    return {path: shape for path, shape in shapes.items() if len(shape) == 4}


def _no_features(name: str) -> UserError:
    return UserError(
        f"torchvision's {name} gives no feature maps at strides 8, 16 and 32 for every input size; choose another "
        "network, such as torchvision:resnet50"
    )
