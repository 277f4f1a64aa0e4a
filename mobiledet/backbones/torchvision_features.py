"""Torchvision's classifiers as backbones, for comparison: ``torchvision:NAME``."""

from functools import cache

import torch
import torchvision
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import NodePathTracer, create_feature_extractor

from mobiledet.backbones.base import Backbone, FeatureInfo
from mobiledet.errors import UserError
from mobiledet.layers import NormLayer

PREFIX = "torchvision:"
STRIDES = (8, 16, 32)
PROBE_SIDE = 64  # pixels; no network pools its last map to 2 x 2, so that its strides can be told from the shapes


class TorchvisionFeatures(Backbone):
    """The last block at each of the strides 8, 16 and 32 of a torchvision classifier, randomly initialised.

    A block is a part of the network or a part of such a part (``layer3``, ``features.12``). The body keeps
    torchvision's names.

    Args:
        name: of ``torchvision_names()``.
        norm_layer: makes the normalisation from a number of channels; for networks that take one.

    Raises:
        UserError: the network has no map at one of the strides.
    """

    def __init__(self, name: str, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        super().__init__()
        self.name = name
        self.options = {} if norm_layer is nn.BatchNorm2d else {"norm_layer": norm_layer}
        network = self._network(num_classes=1)
        blocks = _last_blocks(network, name)
        self.feature_info = tuple(FeatureInfo(block, blocks[block][0], blocks[block][1]) for block in blocks)
        self.body = create_feature_extractor(network, list(blocks)).train()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.body(images).values())

    def classifier_head(self, num_classes: int) -> nn.Module:
        """What torchvision's network does after the last feature map, by its own names."""
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
            self.name, weights=None, num_classes=num_classes, **self.options
        )
        return network


@cache
def torchvision_names() -> tuple[str, ...]:
    """Names of all classifiers of torchvision."""
    return tuple(torchvision.models.list_models(module=torchvision.models))


def _last_blocks(network: nn.Module, name: str) -> dict[str, tuple[int, int]]:
    """Paths of the last blocks at each stride, with their channels and strides, finest first."""
    shapes: dict[str, torch.Size] = {}

    def note(path: str, output: object) -> None:
        if isinstance(output, Tensor):
            shapes.pop(path, None)
            shapes[path] = output.shape

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, path=path: note(path, output))
        for path, module in network.named_modules()
        if path and path.count(".") <= 1
    ]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE))
    except (AssertionError, RuntimeError, ValueError) as error:  # a network for one image size alone
        raise _no_features(name) from error
    finally:
        for hook in hooks:
            hook.remove()
    last = {
        stride: path
        for path, shape in shapes.items()
        for stride in STRIDES
        if len(shape) == 4 and shape[2:] == (PROBE_SIDE // stride, PROBE_SIDE // stride)
    }
    if set(last) != set(STRIDES):
        raise _no_features(name)
    return {last[stride]: (shapes[last[stride]][1], stride) for stride in STRIDES}


def _no_features(name: str) -> UserError:
    return UserError(
        f"torchvision's {name} gives no feature maps at strides 8, 16 and 32 for every input size; choose another "
        "network, such as torchvision:resnet50"
    )
