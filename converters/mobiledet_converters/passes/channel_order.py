"""Changes the order of channels by permuting the weights that write or read them, at no cost at run time."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# functions that compute each output channel from the same input channel
CHANNELWISE = {
    F.relu,
    F.relu6,
    F.leaky_relu,
    F.hardtanh,
    F.hardswish,
    F.hardsigmoid,
    F.interpolate,
    F.max_pool2d,
    F.avg_pool2d,
    F.adaptive_avg_pool2d,
    F.pad,
    torch.relu,
    torch.relu_,
    torch.sigmoid,
}


def permute_outputs(conv: nn.Conv2d, order: Tensor) -> None:
    """Permute a convolution so that output i is its former output ``order[i]``; if depthwise, also its inputs."""
    conv.weight.data = conv.weight.data[order]
    if conv.bias is not None:
        conv.bias.data = conv.bias.data[order]


def permute_inputs(conv: nn.Conv2d, order: Tensor) -> None:
    """Permute an ordinary convolution so that its input i is its former input ``order[i]``."""
    conv.weight.data = conv.weight.data[:, order]


class OrderAbsorber(TorchFunctionMode):
    """Runs a model once and permutes the weights of all layers that read a tensor with reordered channels.

    Every call of a torch function is intercepted, inside modules or not, so that no reader is missed. Ordinary
    convolutions absorb the order; depthwise convolutions and channelwise functions pass it on.

    Args:
        model: the model, changed in place.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._convs = {id(m.weight): (name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
        self._orders: dict[int, tuple[Tensor, Tensor]] = {}  # by id; the tensor is kept, so that its id stays unique
        self._absorbed: dict[int, Tensor] = {}
        self._handles: list[Any] = []

    def follow(self, module: nn.Module, order: Tensor) -> None:
        """Declare that channel i of the module's output is now the former channel ``order[i]``."""
        hook = module.register_forward_hook(lambda module, inputs, output: self._mark(output, order))
        self._handles.append(hook)

    @torch.no_grad()
    def run(self, *inputs: Tensor) -> None:
        """Run the model and let every reader absorb the orders.

        Raises:
            ValueError: a reader cannot absorb an order.
        """
        with self:
            self._model(*inputs)
        for handle in self._handles:
            handle.remove()

    def _mark(self, tensor: Tensor, order: Tensor) -> None:
        self._orders[id(tensor)] = (tensor, order)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        order = next((self._orders[id(a)][1] for a in args if id(a) in self._orders), None)
        if order is None:
            return func(*args, **(kwargs or {}))
        carries = func in CHANNELWISE
        if func is F.conv2d:
            carries = self._absorb(*self._convs[id(args[1])], order)
        result = func(*args, **(kwargs or {}))
        if carries:
            self._mark(result, order)
        elif func is not F.conv2d and isinstance(result, Tensor):
            raise ValueError(f"{getattr(func, '__name__', func)} reads reordered channels")
        return result

    def _absorb(self, name: str, conv: nn.Conv2d, order: Tensor) -> bool:
        """Permute the weights of a reader before they are used; returns whether its output has the order, too."""
        depthwise = conv.groups == conv.in_channels == conv.out_channels
        if conv.groups > 1 and not depthwise:
            raise ValueError(f"{name} is a grouped convolution and cannot read its channels in another order")
        if id(conv.weight) not in self._absorbed:
            self._absorbed[id(conv.weight)] = order
            (permute_outputs if depthwise else permute_inputs)(conv, order)
        elif not torch.equal(self._absorbed[id(conv.weight)], order):
            raise ValueError(f"{name} reads channels in two orders")
        return depthwise
