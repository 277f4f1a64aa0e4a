"""Lowers a PyTorch network to a Core AI program."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from mobiledet.errors import UserError
from mobiledet_converters.coreai.framework import load_coreai_torch
from mobiledet_converters.coreai.sixteen_bits import DECOMPOSITIONS, SixteenBits

IMAGE = "image"
INTEGERS = "int8-weights"


class Lowered(NamedTuple):
    """A lowered network.

    Attributes:
        program: coreai's AIProgram.
        structure: facts about it, as JSON values: ``integers``, the number of weights that became integers, and
            ``too_large``, names of the weights that stay in 32 bits because 16 cannot hold them; absent if empty.
    """

    program: Any
    structure: dict[str, Any]


def lower(graph: nn.Module, size: tuple[int, int], outputs: Sequence[str], precision: str) -> Lowered:
    """Lower a network to a program whose input is a raw RGB image, 1 x 3 x height x width in 0..255.

    The input is an array, not Core AI's image type: the runtime supports that only on Apple's systems, and exactly the
    shipped program must run here.

    Args:
        graph: the network; modules of ``KEPT_IN_32_BITS`` stay in 32 bits.
        size: (height, width) of the image.
        outputs: names of the outputs, all of them float32.
        precision: ``float32``; otherwise the network computes in 16 bits, with ``int8-weights`` from 8-bit weights.

    Raises:
        UserError: PyTorch cannot capture the network, or Core AI does not support one of its operations.
    """
    coreai_torch = load_coreai_torch()
    image = torch.zeros(1, 3, *size)
    program = _capture(graph, image, {} if precision == "float32" else DECOMPOSITIONS)
    _refuse_unknown(program, coreai_torch)
    structure: dict[str, Any] = {}
    if precision != "float32":
        network = SixteenBits(program, has_integers=precision == INTEGERS)
        found = {"integers": sum(network.integers.values()), "too_large": network.too_large}
        structure = {name: value for name, value in found.items() if value}
        program = _capture(network, image, {})
    converter = coreai_torch.TorchConverter(mode=coreai_torch.TorchConverter.Mode.RELEASE)
    try:
        converter.add_exported_program(program, input_names=[IMAGE], output_names=list(outputs))
        return Lowered(converter.to_coreai(), structure)
    except Exception as error:  # the converter may raise any exception
        raise UserError(f"coreai-torch cannot lower the network: {_one_line(error)}") from error


def _capture(graph: nn.Module, image: torch.Tensor, decompositions: Mapping[Any, Any]) -> torch.export.ExportedProgram:
    coreai_torch = load_coreai_torch()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(graph, (image,), strict=False)
            return program.run_decompositions({**coreai_torch.get_decomp_table(), **decompositions})
    except Exception as error:  # PyTorch may raise any exception
        raise UserError(f"PyTorch cannot capture the network: {_one_line(error)}") from error


def _refuse_unknown(program: torch.export.ExportedProgram, coreai_torch: Any) -> None:
    """Check that coreai-torch supports all operations.

    Raises:
        UserError: it does not; names the first such operation and its place in the network.
    """
    from coreai_torch._validate import validate_exported_program

    try:
        validate_exported_program(program, {})
    except ValueError as error:
        named = re.findall(r"aten\.\w+\.?\w*", str(error))
        node = next((node for node in program.graph.nodes if str(node.target) in named), None)
        raise UserError(f"Core AI does not support {_place(node) if node else _one_line(error)}") from error


def _place(node: torch.fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    layer = str(kind).rpartition(".")[2].rstrip("'>")
    return f"{node.target} in {path or 'the outermost module'} ({layer or 'no layer'})"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
