"""Checks that a package computes with the same integers as the PyTorch network that it was converted from."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mobiledet.mil.model import CoreMlModel
from mobiledet_converters.coreml.quantize import to_pixels
from mobiledet_converters.wrapper import ImageGraph

MIN_EQUAL = 0.99  # fraction of the codes


class MilRounding(TorchFunctionMode):
    """Makes PyTorch's quantisers round like those of MIL, and records their codes.

    Sums of scaled integers are often halfway between two codes. MIL rounds the quotient to even then, while PyTorch
    multiplies by the reciprocal, whose last digit decides; a code that differs by one affects all later layers. So the
    values are rounded as in MIL before PyTorch quantises them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.codes: list[np.ndarray] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.quantize_per_tensor:
            return func(*args, **(kwargs or {}))
        values, scale, *others = args
        result = func((values / scale).round() * scale, scale, *others, **(kwargs or {}))
        self.codes.append(result.int_repr().numpy().astype(np.int16))
        return result


@torch.inference_mode()
def compare_codes(graph: ImageGraph, package: Path, image: np.ndarray) -> dict[str, Any]:
    """Run both on an image and compare the codes of their quantisers.

    Everything between the quantisers is computed in 32 bits; how a device rounds there is checked by the detections. So
    is the second stage of a two-stage detector, because the order of its regions depends on a ranking.

    Args:
        graph: the finalised PyTorch network.
        package: the package that was converted from it.
        image: height x width x 3 uint8 RGB.

    Returns:
        JSON values: ``equal``, the fraction of equal codes; ``tensors``, the number of compared tensors; ``lost``, the
        number of PyTorch's quantisers without a counterpart in the package.
    """
    detector: Any = graph.detector
    with MilRounding() as recorder:
        detector.backbone(graph.normalization(to_pixels(image[None])))  # the whole network, see ``with_networks``
    found: dict[tuple[int, ...], list[np.ndarray]] = {}

    def observe(_: str, values: Tensor) -> None:
        if values.dtype in (torch.int8, torch.uint8):
            # PyTorch's codes start at 0 with a zero point of 128, Core ML's at -128 without one
            codes = values.numpy().astype(np.int16) + (128 if values.dtype == torch.int8 else 0)
            found.setdefault(tuple(values.shape), []).append(codes)

    CoreMlModel(package, round_float16=False).predict({"image": image}, observe)
    equal = total = lost = 0
    for codes in recorder.codes:
        candidates = found.get(codes.shape)
        if not candidates:
            lost += 1
            continue
        equal += max(int((codes == candidate).sum()) for candidate in candidates)
        total += codes.size
    return {"equal": equal / total if total else 0.0, "tensors": len(recorder.codes) - lost, "lost": lost}


def codes_problem(codes: dict[str, Any]) -> str:
    """Description of a difference between the package's integers and PyTorch's; empty if there is none.

    A code that differs by one affects the following layers, so the package may still be usable.

    Args:
        codes: the values from ``compare_codes``.
    """
    if codes["equal"] >= MIN_EQUAL and codes["lost"] <= (codes["lost"] + codes["tensors"]) // 4:
        return ""
    return (
        f"it does not compute with PyTorch's integers: {codes['equal']:.2%} of the codes are equal, {MIN_EQUAL:.0%} "
        f"are needed; {codes['lost']} of {codes['lost'] + codes['tensors']} quantisers have no counterpart"
    )
