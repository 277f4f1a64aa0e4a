"""Folds batch normalisations into the convolutions before them."""

import copy
import itertools

from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(model: nn.Module, example: Tensor) -> nn.Module:
    """Fold each batch normalisation into the convolution before it.

    The converters would fold it too, but only after tracing the unfolded graph several times: this saves a quarter of
    the conversion time, and the other passes expect bare convolutions. Pairs are found in an ``nn.Sequential`` and in
    the graph of a traced network, whose order of execution is certain.
    """
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    for parent in list(model.modules()):
        if isinstance(parent, nn.Sequential):
            _fold_neighbours(parent)
        elif isinstance(parent, fx.GraphModule):
            _fold_in_graph(parent)
    return model


def _fold_neighbours(parent: nn.Sequential) -> None:
    children = list(parent.named_children())
    for (name, conv), (next_name, norm) in itertools.pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(parent, name, fuse_conv_bn_eval(conv, norm))
            setattr(parent, next_name, nn.Identity())


def _fold_in_graph(network: fx.GraphModule) -> None:
    modules = dict(network.named_modules())
    calls = [node for node in network.graph.nodes if node.op == "call_module"]
    times_called = {node.target: sum(other.target == node.target for other in calls) for node in calls}
    for node in calls:
        norm, before = modules[str(node.target)], node.args[0]
        if not isinstance(norm, nn.BatchNorm2d) or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        conv = modules[str(before.target)]
        if isinstance(conv, nn.Conv2d) and len(before.users) == 1 and times_called[before.target] == 1:
            network.set_submodule(str(before.target), fuse_conv_bn_eval(conv, norm))
            network.set_submodule(str(node.target), nn.Identity())
