"""The head's outputs inside of a model file against PyTorch's: tells even where nothing is detected."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from mobiledet.errors import UserError

LOWEST_SQNR_DB = {"float32": 60.0, "float16": 30.0, "int8-weights": 12.0, "int8": 6.0, "int16x8": 12.0}


@dataclass(frozen=True)
class Difference:
    """How far a tensor is from the expected one.

    Attributes:
        max, mean: of the absolute differences.
        sqnr_db: power of the expected values over that of the differences, in decibels; at most 200.
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


def compare_raw_outputs(
    path: Path, image: np.ndarray, expected: dict[str, np.ndarray], precision: str
) -> dict[str, Difference]:
    """Run a file on one image and compare the tensors inside that hold the head's outputs.

    The file does not name them: of all tensors of the right shape the nearest is taken, which for other values than
    the expected ones is not near at all.

    Args:
        path: the .tflite file.
        image: height x width x 3, RGB in 0..255.
        expected: PyTorch's, 1 x A x anything, by name.
        precision: chooses the lowest signal-to-noise ratio.

    Returns:
        by name, for those that have a tensor in the file.

    Raises:
        UserError: one is further away than the precision can explain.
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
    shapes = {shape for values in expected.values() for shape in (values.shape, values.shape[1:])}
    indices = [d["index"] for d in interpreter.get_tensor_details() if tuple(d["shape"]) in shapes]
    found = [interpreter.get_tensor(index) for index in indices]
    return nearest(expected, found, LOWEST_SQNR_DB[precision], path.name)


def nearest(
    expected: dict[str, np.ndarray], found: Sequence[np.ndarray], lowest_db: float, file: str
) -> dict[str, Difference]:
    """How far the nearest of the tensors inside of a file is from each of the expected ones.

    Args:
        expected: by name.
        found: with or without their first dimension of one.
        lowest_db: signal-to-noise ratio that is needed.
        file: its name, for the message.

    Returns:
        by name, for those that have a tensor of their shape in the file.

    Raises:
        UserError: one is further away than that.
    """
    result = {}
    for name, values in expected.items():
        fitting = [tensor for tensor in found if tensor.shape in (values.shape, values.shape[1:])]
        if not fitting:
            continue
        differences = [difference(values, tensor.reshape(values.shape)) for tensor in fitting]
        result[name] = max(differences, key=lambda d: d.sqnr_db)
        if result[name].sqnr_db < lowest_db:
            raise UserError(
                f"{file} does not compute what PyTorch computes: {name} is {result[name].sqnr_db:.0f} dB above "
                f"its error, {lowest_db:.0f} are needed"
            )
    return result
