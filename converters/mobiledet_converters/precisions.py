"""The precisions of model files: requirements, tolerances against PyTorch and between runtimes, and accelerators.

Each precision is one row of a table. Does not import torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mobiledet.errors import UserError
from mobiledet.matching import Tolerance

# 16-bit arithmetic; 8-bit weights; 8-bit weights and 8-bit activations
RoundingKind = Literal["", "half", "weights", "activations"]


@dataclass(frozen=True)
class Gate(Tolerance):
    """How far a file may differ from PyTorch, see ``parity``.

    Attributes:
        iou, score: when two detections count as the same.
        different: fraction of the detections that may differ without an explanation.
        unsettled: fraction that may fall to the other side of the suppression threshold.
        score_ratio: largest factor by which the scores of all pairs may be larger or smaller in total.
        offset: largest mean shift of the edges of all boxes, relative to the width or height of a box.
        sqnr_db: least signal-to-quantisation-noise ratio of the head's outputs, in decibels.
        rounding: rounding that is simulated in PyTorch to learn how much such files may differ; empty for 32 bits.
    """

    different: float
    unsettled: float
    score_ratio: float
    offset: float
    sqnr_db: float
    rounding: RoundingKind = ""

    @property
    def has_integers(self) -> bool:
        """Whether the file is quantised to integers, so that mAP judges it better than the detections of a few
        images."""
        return self.rounding in ("weights", "activations")


@dataclass(frozen=True)
class Precision:
    """A precision of one format.

    Attributes:
        gate: limits against PyTorch, at export.
        cpu, accelerated: tolerances on a device, for a processor and for an accelerator (a GPU that computes in 16
            bits), against the file's outputs in its reference runtime.
        accelerators: which implementation runs such a file, and with which numbers, by kind of processor.
        is_default: whether it is written if no precision is requested.
        needs_calibration: whether activations become integers, whose scales are fitted to calibration images.
    """

    gate: Gate
    cpu: Tolerance
    accelerated: Tolerance
    accelerators: dict[str, str]
    is_default: bool = False
    needs_calibration: bool = False


EXACT = Gate(0.99, 1e-3, different=5e-4, unsettled=0.01, score_ratio=1.005, offset=2e-3, sqnr_db=60)
ROUNDED = Gate(0.95, 0.01, different=3e-3, unsettled=0.02, score_ratio=1.01, offset=5e-3, sqnr_db=30, rounding="half")
FINE = Gate(
    0.9,
    0.05,
    different=0.02,
    unsettled=0.04,
    score_ratio=1.05,
    offset=0.01,
    sqnr_db=12,
    rounding="weights",
)
COARSE = Gate(
    0.7,
    0.2,
    different=0.06,
    unsettled=0.1,
    score_ratio=1.25,
    offset=0.04,
    sqnr_db=6,
    rounding="activations",
)

# How runtimes differ: in the order of summation; in 16-bit arithmetic; in the rounding of 8-bit sums. Measured on 12
# crowded images of blood cells (500 detections), XNNPACK against LiteRT's own kernels: floats and 16-bit activations
# differ by 1e-6 in scores, 8-bit activations leave 2.6 % unsettled within OTHER_STEPS and 9 % within IoU 0.9 and score
# 0.05.
SAME_NUMBERS = Tolerance(0.99, 1e-3)
HALF_NUMBERS = Tolerance(0.95, 0.01)
FINE_STEPS = Tolerance(0.9, 0.05)
OTHER_STEPS = Tolerance(0.8, 0.15)

TFLITE = {
    "float32": Precision(
        EXACT,
        SAME_NUMBERS,
        HALF_NUMBERS,
        {
            "cpu": "XNNPACK, 32 bits",
            "gpu": "GPU delegate, 16 bits by default",
            "npu": "only one that computes in floats",
        },
        is_default=True,
    ),
    "float16": Precision(
        ROUNDED,
        SAME_NUMBERS,
        HALF_NUMBERS,
        {
            "cpu": "XNNPACK, 32 bits from 16-bit weights",
            "gpu": "GPU delegate, 16 bits",
            "npu": "only one that computes in 16-bit floats",
        },
        is_default=True,
    ),
    "int8-weights": Precision(
        FINE,
        SAME_NUMBERS,
        HALF_NUMBERS,
        {
            "cpu": "XNNPACK, 32 bits from 8-bit weights",
            "gpu": "GPU delegate, 16 bits, where it takes 8-bit weights",
            "npu": "none known",
        },
    ),
    "int8": Precision(
        COARSE,
        OTHER_STEPS,
        OTHER_STEPS,
        {
            "cpu": "XNNPACK, 8 bits; fast on processors with dot products (Arm v8.2, VNNI)",
            "gpu": "GPU delegate, in floats, if quantised models are allowed; no faster than float16",
            "npu": "the form that NPUs are made for; post-processing falls back to the CPU",
        },
        is_default=True,
        needs_calibration=True,
    ),
    "int16x8": Precision(
        FINE,
        HALF_NUMBERS,
        FINE_STEPS,
        {
            "cpu": "LiteRT's own kernels alone, many times slower than float32: not in XNNPACK",
            "gpu": "none",
            "npu": "those with 16-bit activations; post-processing falls back to the CPU",
        },
        needs_calibration=True,
    ),
}
COREML = {
    "float32": Precision(
        replace(EXACT, sqnr_db=80),
        SAME_NUMBERS,
        HALF_NUMBERS,
        {"cpu": "32 bits", "gpu": "32 bits", "ane": "none"},
    ),
    "float16": Precision(
        ROUNDED, HALF_NUMBERS, HALF_NUMBERS, {"cpu": "16 bits", "gpu": "16 bits", "ane": "16 bits"}, is_default=True
    ),
    "int8": Precision(
        FINE, HALF_NUMBERS, HALF_NUMBERS, dict.fromkeys(("cpu", "gpu", "ane"), "16 bits from 8-bit weights")
    ),
    "palette6": Precision(
        COARSE, HALF_NUMBERS, HALF_NUMBERS, dict.fromkeys(("cpu", "gpu", "ane"), "16 bits from palettes of 64 weights")
    ),
    "w8a8": Precision(
        COARSE,
        OTHER_STEPS,
        OTHER_STEPS,
        {"cpu": "16 bits", "gpu": "16 bits", "ane": "8 bits, faster from A17 Pro and M4 on"},
        needs_calibration=True,
    ),
}
COREAI = {  # the faster one first: it is what an app uses that names none
    "float16": Precision(
        ROUNDED, HALF_NUMBERS, HALF_NUMBERS, {"cpu": "16 bits", "gpu": "16 bits", "ane": "16 bits"}, is_default=True
    ),
    "float32": Precision(
        EXACT, SAME_NUMBERS, HALF_NUMBERS, {"cpu": "32 bits", "gpu": "32 bits", "ane": "none"}, is_default=True
    ),
    "int8-weights": Precision(
        FINE, HALF_NUMBERS, HALF_NUMBERS, dict.fromkeys(("cpu", "gpu", "ane"), "16 bits from 8-bit weights")
    ),
}
PRECISIONS = {"tflite": TFLITE, "coreml": COREML, "coreai": COREAI}


def choose_precisions(format: str, requested: Sequence[str], formats: Sequence[str]) -> tuple[str, ...]:
    """The requested precisions that a format supports, or its defaults if none are requested.

    Args:
        format: one of ``formats``.
        requested: names in any order; may be empty.
        formats: all formats that are written; each name must be known to one of them.

    Raises:
        UserError: a name is unknown to all formats, or this format supports none of the names.
    """
    own = PRECISIONS[format]
    for name in requested:
        if not any(name in PRECISIONS[other] for other in formats):
            raise UserError(f"--precision {name}: {format} has {', '.join(own)}")
    chosen = tuple(dict.fromkeys(name for name in requested if name in own))
    if requested and not chosen:
        raise UserError(
            f"none of --precision {' '.join(requested)} is for {format}, which has {', '.join(own)}; "
            f"add one of them or leave {format} out of --format"
        )
    return chosen or tuple(name for name, precision in own.items() if precision.is_default)


def needs_calibration(format: str, precision: str) -> bool:
    """Whether files of this format and precision have integer activations."""
    return PRECISIONS[format][precision].needs_calibration
