"""A network of PyTorch as a Core AI program."""

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
        structure: what is to be told of it, as JSON values: ``integers``, how many weights became such, and
            ``too_large``, names of the weights that are kept in 32 bits for that; absent where there are none.
    """

    program: Any
    structure: dict[str, Any]


def lower(graph: nn.Module, size: tuple[int, int], outputs: Sequence[str], precision: str) -> Lowered:
    """The network as a program that takes a raw RGB image, 1 x 3 x height x width in 0..255.

    The input is an array, not Core AI's image type: the runtime takes that on Apple's systems alone, and what is
    shipped is to be what was run here.

    Args:
        graph: takes that array; modules of ``KEPT_IN_32_BITS`` stay in 32 bits.
        size: (height, width) of the image.
        outputs: their names, all of them float32.
        precision: ``float32``, or else the network computes in 16 bits, with ``int8-weights`` from weights of 8.

    Raises:
        UserError: PyTorch cannot capture the network, or Core AI lacks one of its operations.
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
    except Exception as error:  # it is free to raise what it likes
        raise UserError(f"coreai-torch cannot lower the network: {_one_line(error)}") from error


def _capture(graph: nn.Module, image: torch.Tensor, decompositions: Mapping[Any, Any]) -> torch.export.ExportedProgram:
    coreai_torch = load_coreai_torch()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(graph, (image,), strict=False)
            return program.run_decompositions({**coreai_torch.get_decomp_table(), **decompositions})
    except Exception as error:  # PyTorch is free to raise what it likes
        raise UserError(f"PyTorch cannot capture the network: {_one_line(error)}") from error


def _refuse_unknown(program: torch.export.ExportedProgram, coreai_torch: Any) -> None:
    """Name the first operation that coreai-torch has no form of, and its place in the network.

    Raises:
        UserError: there is one.
    """
    from coreai_torch._validate import validate_exported_program

    try:
        validate_exported_program(program, {})
    except ValueError as error:
        named = re.findall(r"aten\.\w+\.?\w*", str(error))
        node = next((node for node in program.graph.nodes if str(node.target) in named), None)
        raise UserError(f"Core AI has no form of {_place(node) if node else _one_line(error)}") from error


def _place(node: torch.fx.Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    layer = str(kind).rpartition(".")[2].rstrip("'>")
    return f"{node.target} in {path or 'the outermost module'} ({layer or 'no layer'})"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
