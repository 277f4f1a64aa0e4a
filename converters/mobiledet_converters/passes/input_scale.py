"""Folds the scale of the input normalisation into the first convolution.

Only the scale: the convolution's zero padding represents the mean colour, and zero padding of raw pixels would darken
the border. The mean is still subtracted at run time, which keeps the fold exact.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mobiledet_converters.wrapper import ImageGraph, Normalization


def fold_input_scale(model: nn.Module, example: Tensor) -> nn.Module:
    """Divide the weights of the convolution on the image by the standard deviations of the colours.

    A model in which anything but a convolution reads the image is not changed.
    """
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    for graph in [module for module in model.modules() if isinstance(module, ImageGraph)]:
        readers = _Readers(model, graph.normalization)
        with torch.no_grad(), readers:
            model(example)
        std = graph.normalization.std
        if std is not None and readers.convolutions and not readers.others:
            for conv in readers.convolutions:
                conv.weight.data = conv.weight.data / std
            graph.normalization.std = None
    return model


class _Readers(TorchFunctionMode):
    """Records which operations read the output of a module while a model runs.

    Attributes:
        convolutions: ordinary convolutions that read it.
        others: whether anything else reads it.
    """

    def __init__(self, model: nn.Module, source: Normalization) -> None:
        super().__init__()
        self.convolutions: list[nn.Conv2d] = []
        self.others = False
        self._convs = {id(m.weight): m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
        self._output: Tensor | None = None
        self._handle = source.register_forward_hook(self._note)

    def _note(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._output = output
        self._handle.remove()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._output is not None and any(argument is self._output for argument in args):
            conv = self._convs.get(id(args[1])) if func is F.conv2d else None
            if conv is not None:
                self.convolutions.append(conv)
            elif isinstance(result, Tensor):
                self.others = True
        return result
