"""Compares the head's outputs inside a model file with PyTorch's, which works even if nothing is detected."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mobiledet.devices.served import ServedDetector


@dataclass(frozen=True)
class Difference:
    """How far a tensor is from the expected one.

    Attributes:
        max, mean: maximum and mean of the absolute differences.
        sqnr_db: power of the expected values over the power of the differences, in decibels; at most 200.
    """

    max: float
    mean: float
    sqnr_db: float


def difference(expected: np.ndarray, found: np.ndarray) -> Difference:
    """Compare two arrays of one shape."""
    error = np.abs(expected.astype(np.float64) - found)
    noise = float(np.square(error).sum())
    signal = float(np.square(expected.astype(np.float64)).sum())
    sqnr_db = 10 * float(np.log10(signal / noise)) if noise and signal else (200.0 if noise == 0 else -200.0)
    return Difference(float(error.max(initial=0)), float(error.mean()), min(sqnr_db, 200.0))


def inside_tflite(path: Path, image: np.ndarray, expected: dict[str, np.ndarray]) -> dict[str, Difference]:
    """Run a .tflite file on one image and compare its internal tensors with the head's outputs; see ``nearest``.

    Args:
        path: the file.
        image: height x width x 3, RGB in 0..255.
        expected: PyTorch's outputs by name, 1 x A x anything.
    """
    interpreter = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    (detail,) = interpreter.get_input_details()
    interpreter.set_tensor(detail["index"], image[None].astype(detail["dtype"]))
    interpreter.invoke()
    shapes = _shapes(expected)
    indices = [d["index"] for d in interpreter.get_tensor_details() if tuple(d["shape"]) in shapes]
    return nearest(expected, [interpreter.get_tensor(index) for index in indices])


def inside_served(model: ServedDetector, image: np.ndarray, expected: dict[str, np.ndarray]) -> dict[str, Difference]:
    """Like ``inside_tflite``, for a file that another process runs."""
    return nearest(expected, model.tensors(image, _shapes(expected)))


def _shapes(expected: dict[str, np.ndarray]) -> set[tuple[int, ...]]:
    """The shapes with and without leading and trailing dimensions of 1, because formats differ in these."""
    bare = {_bare(values) for values in expected.values()}
    return {(*first, *shape, *last) for shape in bare for first in ((), (1,)) for last in ((), (1,))}


def _bare(values: np.ndarray) -> tuple[int, ...]:
    return tuple(side for side in values.shape if side != 1)


def nearest(expected: dict[str, np.ndarray], found: Sequence[np.ndarray]) -> dict[str, Difference]:
    """The difference between each expected tensor and the nearest tensor in a file.

    The tensors in a file have no usable names. So of all tensors of the right shape, the nearest one is compared; if
    the values are wrong, even that one is far off.

    Args:
        expected: expected tensors by name.
        found: tensors in the file, with or without dimensions of 1.

    Returns:
        differences by name, for names that have a tensor of their shape in the file.
    """
    result = {}
    for name, values in expected.items():
        fitting = [tensor for tensor in found if _bare(tensor) == _bare(values)]
        differences = [difference(values, tensor.reshape(values.shape)) for tensor in fitting]
        if differences:
            result[name] = max(differences, key=lambda d: d.sqnr_db)
    return result


def raw_problem(raw: dict[str, Difference], lowest_db: float) -> str:
    """Description of the first output with too low an SQNR; empty if all are high enough."""
    for name, found in raw.items():
        if found.sqnr_db < lowest_db:
            return f"{name} is {found.sqnr_db:.0f} dB above its error, {lowest_db:.0f} are needed"
    return ""
