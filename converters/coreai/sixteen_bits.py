"""A captured network that computes in 16 bits, but for its post-processing."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from mobiledet_converters.wrapper import Normalization, PostProcess

# names of modules whose operations stay in 32 bits: indices above 2048 and corners of boxes do not survive 16, nor do
# the values of an image less its mean
KEPT_IN_32_BITS = (PostProcess.__name__, Normalization.__name__)


def is_kept(node: fx.Node) -> bool:
    """Whether an operation stays in 32 bits."""
    modules = (node.meta.get("nn_module_stack") or {}).values()
    return any(name in str(kind) for _, kind in modules for name in KEPT_IN_32_BITS)


class SixteenBits(nn.Module):
    """Runs the operations of a program, each in its precision; to be captured again.

    Weights of operations of 16 bits are rounded once and kept so.

    Args:
        program: captured in 32 bits.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
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
                    if isinstance(values, nn.Parameter):
                        values.data = values.data.half()
                    else:
                        setattr(module, name, values.half())

    def forward(self, image: Tensor) -> Any:
        return _Run(self.program, self._kept).run(image)


class _Run(fx.Interpreter):
    def __init__(self, program: fx.GraphModule, kept: Collection[str]) -> None:
        super().__init__(program)
        self._kept = kept

    def run_node(self, node: fx.Node) -> Any:
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
