"""A captured network that computes in 16 bits, but for its post-processing; its weights may have 8."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from mobiledet_converters.wrapper import Normalization, PostProcess

LARGEST_CODE = 127
FEWEST_WEIGHTS = 2048  # of a layer whose weights get 8 bits: of smaller ones there is nothing to gain
# names of modules whose operations stay in 32 bits: indices above 2048 and corners of boxes do not survive 16, nor do
# the values of an image less its mean
KEPT_IN_32_BITS = (PostProcess.__name__, Normalization.__name__)


def is_kept(node: fx.Node) -> bool:
    """Whether an operation stays in 32 bits."""
    modules = (node.meta.get("nn_module_stack") or {}).values()
    return any(name in str(kind) for _, kind in modules for name in KEPT_IN_32_BITS)


class SixteenBits(nn.Module):
    """Runs the operations of a program, each in its precision; to be captured again.

    Weights of operations of 16 bits are rounded once and kept so, or as integers of 8 bits with a factor for each
    output channel.

    Args:
        program: captured in 32 bits.
        has_integers: whether weights become integers.

    Attributes:
        integers: names of the weights that did, and how many numbers each has.
    """

    def __init__(self, program: torch.export.ExportedProgram, has_integers: bool = False) -> None:
        super().__init__()
        self._has_integers = has_integers
        self.integers: dict[str, int] = {}
        self.program = program.module(check_guards=False)
        kept = {node.name for node in program.graph.nodes if node.op == "call_function" and is_kept(node)}
        self._round_weights(kept)
        self._kept = kept

    def _round_weights(self, kept: Collection[str]) -> None:
        for node in self.program.graph.nodes:
            if node.op == "get_attr" and not any(user.name in kept or user.op == "output" for user in node.users):
                owner, _, name = node.target.rpartition(".")
                module = self.program.get_submodule(owner)
                values = getattr(module, name)
                if values.dtype == torch.float32:
                    if self._has_integers and values.dim() > 1 and values.numel() >= FEWEST_WEIGHTS:
                        self._to_integers(node.target, values.detach())
                    elif isinstance(values, nn.Parameter):
                        values.data = values.data.half()
                    else:
                        setattr(module, name, values.half())

    def _to_integers(self, name: str, weights: Tensor) -> None:
        largest = weights.abs().amax(dim=tuple(range(1, weights.dim())), keepdim=True)
        factor = torch.where(largest > 0, largest / LARGEST_CODE, 1).half()
        codes = (weights / factor.float()).round().clamp(-LARGEST_CODE, LARGEST_CODE).to(torch.int8)
        self.register_buffer(_buffer(name, "codes"), codes)
        self.register_buffer(_buffer(name, "factor"), factor)
        self.integers[name] = weights.numel()

    def forward(self, image: Tensor) -> Any:
        weights = {
            name: torch.ops.coreai.constexpr_blockwise_shift_scale(
                getattr(self, _buffer(name, "codes")), getattr(self, _buffer(name, "factor"))
            )
            for name in self.integers
        }
        return _Run(self.program, self._kept, weights).run(image)


def _buffer(name: str, part: str) -> str:
    return f"{name.replace('.', '_')}_{part}"


class _Run(fx.Interpreter):
    def __init__(self, program: fx.GraphModule, kept: Collection[str], weights: Mapping[str, Tensor]) -> None:
        super().__init__(program)
        self._kept = kept
        self._weights = weights

    def run_node(self, node: fx.Node) -> Any:
        if node.op == "get_attr" and node.target in self._weights:
            return self._weights[str(node.target)]
        if node.op != "call_function":
            return super().run_node(node)
        dtype = torch.float32 if node.name in self._kept else torch.float16
        arguments, options = tree_map(_caster(dtype), self.fetch_args_kwargs_from_env(node))
        return self.call_function(node.target, arguments, options)


def _caster(dtype: torch.dtype) -> Callable[[Any], Any]:
    def cast(value: Any) -> Any:
        is_other = isinstance(value, Tensor) and value.is_floating_point() and value.dtype != dtype
        return value.to(dtype) if is_other else value

    return cast
