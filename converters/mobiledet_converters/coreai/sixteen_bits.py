"""Converts a captured network to 16 bits, except its post-processing; its weights may have 8 bits."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_map

from mobiledet_converters.wrapper import Normalization, PostProcess

LARGEST_CODE = 127
LARGEST_HALF = torch.finfo(torch.float16).max
MIN_WEIGHTS = 2048  # of a layer whose weights get 8 bits: smaller layers gain nothing
# names of modules whose operations stay in 32 bits: 16 bits are too few for indices above 2048, for corners of boxes
# and for the values of an image minus its mean
KEPT_IN_32_BITS = (PostProcess.__name__, Normalization.__name__)


def is_kept(node: fx.Node) -> bool:
    """Whether an operation stays in 32 bits."""
    modules = (node.meta.get("nn_module_stack") or {}).values()
    return any(name in str(kind) for _, kind in modules for name in KEPT_IN_32_BITS)


class SixteenBits(nn.Module):
    """Runs the operations of a program, each in its precision; the result is captured again.

    The weights of 16-bit operations are rounded once and stored so, or as 8-bit integers with a scale for each output
    channel. An operation whose weights exceed the range of 16-bit floats stays in 32 bits: this happens if a batch
    normalisation with a nearly dead channel was folded into a convolution.

    Args:
        program: the program, captured in 32 bits.
        has_integers: whether weights become integers.

    Attributes:
        integers: size of each weight tensor that became integers, by name.
        too_large: names of the weights that 16 bits cannot hold.
    """

    def __init__(self, program: torch.export.ExportedProgram, has_integers: bool = False) -> None:
        super().__init__()
        self._has_integers = has_integers
        self.integers: dict[str, int] = {}
        self.too_large: list[str] = []
        self.program = program.module(check_guards=False)
        kept = {node.name for node in program.graph.nodes if node.op == "call_function" and is_kept(node)}
        kept |= self._users_of_large_weights() | constant_operations(self.program)
        self._round_weights(kept)
        self._kept = kept

    def _users_of_large_weights(self) -> set[str]:
        users: set[str] = set()
        for node in self.program.graph.nodes:
            if node.op == "get_attr":
                owner, _, name = node.target.rpartition(".")
                values = getattr(self.program.get_submodule(owner), name)
                if values.dtype == torch.float32 and values.numel() and values.abs().max() > LARGEST_HALF:
                    self.too_large.append(node.target)
                    users |= {user.name for user in node.users}
        return users

    def _round_weights(self, kept: Collection[str]) -> None:
        for node in self.program.graph.nodes:
            if node.op == "get_attr" and not any(user.name in kept or user.op == "output" for user in node.users):
                owner, _, name = node.target.rpartition(".")
                module = self.program.get_submodule(owner)
                values = getattr(module, name)
                if values.dtype == torch.float32:
                    if self._has_integers and values.dim() > 1 and values.numel() >= MIN_WEIGHTS:
                        self._to_integers(node.target, values.detach())
                    elif isinstance(values, nn.Parameter):
                        # a new object: the network that the program was captured from has the old one
                        setattr(module, name, nn.Parameter(values.detach().half(), requires_grad=False))
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
        """1 x 3 x H x W raw RGB to the outputs of the program."""
        weights = {
            name: torch.ops.coreai.constexpr_blockwise_shift_scale(
                getattr(self, _buffer(name, "codes")), getattr(self, _buffer(name, "factor"))
            )
            for name in self.integers
        }
        return _Run(self.program, self._kept, weights).run(image)


def batch_norm(
    values: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, momentum: float, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """PyTorch's operation in evaluation mode, with all computations on weights alone as separate operations."""
    factor = weight * torch.rsqrt(variance + epsilon)
    shift = bias - mean * factor
    empty = values.new_empty(0)
    return values * factor.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1), empty, empty


DECOMPOSITIONS = {torch.ops.aten._native_batch_norm_legit_no_training.default: batch_norm}


def constant_operations(program: fx.GraphModule) -> set[str]:
    """Names of the operations on weights alone, such as the square root of variance + epsilon in ``batch_norm``.

    The compiler computes them once. In 16 bits it treats 1e-5 as zero, as Apple's runtime does with all numbers below
    6e-5, and its inverse square root is infinite.
    """
    constant: set[fx.Node] = set()
    for node in program.graph.nodes:
        inputs = node.all_input_nodes
        is_operation = node.op == "call_function" and inputs and all(source in constant for source in inputs)
        if node.op == "get_attr" or is_operation:
            constant.add(node)
    return {node.name for node in constant if node.op == "call_function"}


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
