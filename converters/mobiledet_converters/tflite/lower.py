"""Converts a PyTorch module to TFLite, and names the layer if an operation is not supported."""

import re
from pathlib import Path

import torch
from torch import Tensor, nn

from mobiledet.errors import UserError

NOT_FOUND = re.compile(r"Lowering not found: (\S+)")


def lower(module: nn.Module, image: Tensor, target: Path) -> None:
    """Write a module as a float32 .tflite file.

    Args:
        module: a module in evaluation mode.
        image: an example of its input, which is called ``image`` in the file.
        target: the file to write.

    Raises:
        UserError: TFLite does not have one of the operations.
    """
    import litert_torch

    try:
        lowered = litert_torch.convert(module, sample_kwargs={"image": image})
    except RuntimeError as error:
        missing = NOT_FOUND.search(str(error))
        if missing is None:
            raise
        raise UserError(
            f"TFLite has no operation for {missing.group(1)} ({_place(module, image, missing.group(1))}); replace this "
            "layer by one with supported operations, or export another backbone or detector"
        ) from error
    lowered.export(str(target))


def _place(module: nn.Module, image: Tensor, operation: str) -> str:
    """The layer and its path in the module that an operation comes from."""
    with torch.no_grad():
        program = torch.export.export(module, (), {"image": image})
    for form in (program, program.run_decompositions()):
        for node in form.graph.nodes:
            if node.op == "call_function" and str(node.target) == operation:
                path, layer = next(reversed((node.meta.get("nn_module_stack") or {"": ("", "")}).values()))
                kind = layer if isinstance(layer, str) else f"{layer.__module__}.{layer.__qualname__}"
                return f"layer {kind.rpartition('.')[2] or 'unknown'} at {path or 'the outermost level'}"
    return "layer unknown"
