"""Does a package compute with the same integers as the network of PyTorch that it was made of?"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mobiledet.mil.model import CoreMlModel
from mobiledet_converters.coreml.quantize import to_pixels
from mobiledet_converters.wrapper import ImageGraph

LEAST_EQUAL = 0.99


class MilRounding(TorchFunctionMode):
    """Lets the quantisers of PyTorch round as those of MIL do, and keeps the codes that they give.

    Sums of scaled integers often lie halfway between two codes. There MIL rounds the quotient to even, and PyTorch
    multiplies by the reciprocal, whose last digit decides: a code that differs by one spreads through all later layers.
    So PyTorch is given values that are rounded already, as MIL rounds.
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
    """Run both on an image and compare what their quantisers give.

    Everything between the quantisers is computed in 32 bits: how a device rounds there is another question, which the
    detections answer. So do they for the second of two stages: it looks at regions in the order of a ranking, which the
    last digit decides.

    Args:
        graph: the finalised network of PyTorch.
        package: made of it.
        image: height x width x 3 uint8 RGB.

    Returns:
        JSON values: ``equal``, the share of equal codes; ``tensors``, how many were compared; ``lost``, quantisers of
        PyTorch that have no counterpart in the package.
    """
    detector: Any = graph.detector
    with MilRounding() as recorder:
        detector.backbone(graph.normalization(to_pixels(image[None])))  # the whole network, see ``with_networks``
    found: dict[tuple[int, ...], list[np.ndarray]] = {}

    def observe(_: str, values: Tensor) -> None:
        if values.dtype in (torch.int8, torch.uint8):
            # what PyTorch counts from 0 with a zero point of 128, Core ML counts from -128 with none
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
    """What tells the package's integers from PyTorch's, in words; empty where nothing does.

    A code that differs by one spreads through the layers behind it, so the package may be sound all the same.

    Args:
        codes: of ``compare_codes``.
    """
    if codes["equal"] >= LEAST_EQUAL and codes["lost"] <= (codes["lost"] + codes["tensors"]) // 4:
        return ""
    return (
        f"it does not compute with PyTorch's integers: {codes['equal']:.2%} of the codes are equal, {LEAST_EQUAL:.0%} "
        f"are needed; {codes['lost']} of {codes['lost'] + codes['tensors']} quantisers have no counterpart"
    )
