"""Traces a network for element-wise operations, and for convolutions that could run in parallel."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

COPIES = ("clone", "copy", "_to_copy")  # torch classifies them as pointwise, too


@dataclass(frozen=True)
class Trace:
    """The trace of one run of a network.

    Attributes:
        levels: names of its convolutions, sorted by how many convolutions must run one after the other before them;
            those of one level do not need each other and could run at once.
        elementwise: number of element-wise operations: activations, sums, gates.
        elementwise_access: number of values that they read and write if each runs separately. Batch normalisation is
            left out, because every converter folds it into the convolution before it.
    """

    levels: tuple[tuple[str, ...], ...]
    elementwise: int
    elementwise_access: int


def trace(model: nn.Module, height: int, width: int) -> Trace:
    """Run a model on one 3 x height x width image and record its operations."""
    recorder = _Recorder()
    names = {module: name for name, module in model.named_modules()}

    def enter(module: nn.Module, _: object) -> None:
        recorder.layer = names[module]

    hooks = [m.register_forward_pre_hook(enter) for m in names if isinstance(m, nn.Conv2d)]
    was_training = model.training
    try:
        # not inference_mode, in which torch does not decompose composite operations
        with torch.no_grad():
            image = torch.zeros(1, 3, height, width, device=next(model.parameters()).device)
            with recorder:
                model.eval()(image)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    levels: list[list[str]] = [[] for _ in range(max((level for _, level in recorder.convolutions), default=0))]
    for name, level in recorder.convolutions:
        levels[level - 1].append(name)
    return Trace(tuple(map(tuple, levels)), recorder.elementwise, recorder.elementwise_access)


class _Recorder(TorchDispatchMode):
    """Records every operation, and for every tensor the longest chain of convolutions before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = ""
        self.convolutions: list[tuple[str, int]] = []
        self.elementwise = 0
        self.elementwise_access = 0
        self._levels = WeakTensorKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        taken = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        given = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        level = max((self._levels.get(tensor, 0) for tensor in taken), default=0)
        name = func.overloadpacket.__name__.rstrip("_")
        if name == "convolution":
            level += 1
            self.convolutions.append((self.layer, level))
        elif name == "hardswish" or (torch.Tag.pointwise in func.tags and name not in COPIES):
            self.elementwise += 1
            self.elementwise_access += sum(math.prod(tensor.shape) for tensor in (*taken, *given))
        for tensor in given:
            self._levels[tensor] = level
        return result
