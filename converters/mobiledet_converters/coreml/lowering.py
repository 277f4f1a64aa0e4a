"""Lowers a PyTorch network to an ML Program."""

import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from mobiledet.errors import UserError
from mobiledet_converters.wrapper import PostProcess

KEPT_IN_32_BITS = PostProcess.__name__
IMAGE = "image"
UNWANTED_PASSES = {
    # gives every top-k 16-bit indices, even if there are more than 32767 entries
    "common::add_int16_cast",
    # divides the scales of a sum of integers by each other, which changes the integers
    "common::distributive_quantized_binary_op_scale_normalization",
}
EXPORT, TRACE = "torch.export", "torch.jit.trace"


class Program(NamedTuple):
    """A lowered network.

    Attributes:
        model: coremltools' MLModel.
        route: how PyTorch captured the network: by ``torch.export``, or by ``torch.jit.trace`` if that fails.
    """

    model: Any
    route: str


def lower(
    ct: ModuleType,
    graph: nn.Module,
    size: tuple[int, int],
    outputs: Sequence[str],
    ios: int,
    is_float16: bool,
    routes: Sequence[str] = (EXPORT, TRACE),
) -> Program:
    """Lower a network to an ML Program whose input is an RGB image.

    ``torch.export`` keeps more of the network's structure and is tried first. Tracing also supports what that refuses,
    such as integers inside the network.

    Args:
        ct: coremltools.
        graph: the network, with an input of 1 x 3 x height x width in 0..255; modules with ``PostProcess`` in their
            names stay in 32 bits.
        size: (height, width) of the image.
        outputs: names of the outputs, all of them float32.
        ios: oldest major version of iOS that must run it.
        is_float16: whether the network computes in 16 bits.
        routes: methods of capture to try, in this order.

    Raises:
        UserError: all methods fail.
    """
    image = torch.zeros(1, 3, *size)
    reasons = []
    for route in routes:
        try:
            captured = CAPTURES[route](graph, image)
            return Program(_convert(ct, captured, tuple(image.shape), outputs, ios, is_float16), route)
        except Exception as error:  # both may raise any exception
            reasons.append(f"{route}: {' '.join(str(error).split())[:300] or type(error).__name__}")
    raise UserError(f"coremltools cannot lower the network; {'; '.join(reasons)}")


def _export(graph: nn.Module, image: torch.Tensor) -> Any:
    with torch.no_grad():
        program = torch.export.export(graph, (image,)).run_decompositions({})
    for node in list(program.graph.nodes):
        # full slices are exported as aliases, which coremltools 9 does not support
        if node.target is torch.ops.aten.alias.default and all(user.op != "output" for user in node.users):
            node.replace_all_uses_with(node.all_input_nodes[0])
            program.graph.erase_node(node)
            continue
        modules = (node.meta.get("nn_module_stack") or {}).values()
        if any(KEPT_IN_32_BITS in str(kind) for _, kind in modules):
            node.meta["stack_trace"] = KEPT_IN_32_BITS  # coremltools passes it on to its operations
    return program


def _trace(graph: nn.Module, image: torch.Tensor) -> Any:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.jit.trace(graph, image)


CAPTURES = {EXPORT: _export, TRACE: _trace}


def _convert(
    ct: ModuleType, program: Any, shape: tuple[int, ...], outputs: Sequence[str], ios: int, is_float16: bool
) -> Any:
    pipeline = ct.PassPipeline()
    pipeline.remove_passes(UNWANTED_PASSES)
    float16 = ct.transform.FP16ComputePrecision(op_selector=_is_network)
    return ct.convert(
        program,
        inputs=[ct.ImageType(IMAGE, shape=shape, color_layout=ct.colorlayout.RGB)],
        outputs=[ct.TensorType(name, dtype=np.float32) for name in outputs],
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, f"iOS{ios}"),
        compute_precision=float16 if is_float16 else ct.precision.FLOAT32,
        pass_pipeline=pipeline,
        skip_model_load=True,
    )


def _is_network(operation: Any) -> bool:
    """Whether an operation belongs to the network and not to the post-processing.

    16 bits are too few for indices above 2048 and for corners of boxes.
    """
    return not any(KEPT_IN_32_BITS in str(origin) for origin in operation.scopes.values())
