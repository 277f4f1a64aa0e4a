"""The precisions of model files: what each needs, how far its files may be from PyTorch and from runtime to runtime,
and which accelerators take it. One row says all of it. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mobiledet.errors import UserError
from mobiledet.matching import Tolerance

# 16-bit arithmetic; weights of 8 bits; those, and results of 8 bits
RoundingKind = Literal["", "half", "weights", "activations"]


@dataclass(frozen=True)
class Gate(Tolerance):
    """How far a file may be from PyTorch, see ``parity``.

    Attributes:
        iou, score: when two detections are the same.
        different: share of the detections that may differ without an explanation.
        unsettled: share that may fall to the other side of the suppression threshold.
        score_ratio: the factor by which the scores of all pairs may be larger or smaller as a whole.
        offset: by how much their boxes may be shifted or stretched as a whole, in widths and heights of the boxes.
        sqnr_db: how far the head's outputs must be above their error, in decibels.
        rounding: what PyTorch imitates to tell how far the numbers of such files lead; empty for those of 32 bits.
    """

    different: float
    unsettled: float
    score_ratio: float
    offset: float
    sqnr_db: float
    rounding: RoundingKind = ""

    @property
    def has_integers(self) -> bool:
        """Whether mAP tells a sound file from another better than the detections of a few images do."""
        return self.rounding in ("weights", "activations")


@dataclass(frozen=True)
class Precision:
    """A precision of one format.

    Attributes:
        gate: against PyTorch, at export.
        cpu, accelerated: how far what a processor and what an accelerator (a GPU, in 16 bits) give may be from what
            the file gives in its reference runtime, on a device.
        accelerators: what computes such a file, and in which numbers, by kind of processor.
        is_default: whether it is written where none is asked for.
        needs_calibration: whether activations become integers, whose steps are fitted to images.
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

# How runtimes differ: in the order of sums; in 16 bits; in how 8-bit sums are rounded. Measured on 12 crowded images of
# blood cells (500 detections), XNNPACK against LiteRT's own kernels: floats and 16-bit activations differ by 1e-6 in
# scores, 8-bit activations leave 2.6 % unsettled within OTHER_STEPS and 9 % within IoU 0.9 and score 0.05.
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
COREAI = {  # the faster one first: an app that names none takes that
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


def choose_precisions(format: str, wanted: Sequence[str], formats: Sequence[str]) -> tuple[str, ...]:
    """The precisions of a format's files: of those that are asked for the ones it has, by default its defaults.

    Args:
        format: one of ``formats``.
        wanted: names in any order; may be empty.
        formats: all that are written, so that each name must mean something to one of them.

    Raises:
        UserError: a name is unknown to all formats, or none of them is left for this one.
    """
    own = PRECISIONS[format]
    for name in wanted:
        if not any(name in PRECISIONS[other] for other in formats):
            raise UserError(f"--precision {name}: {format} has {', '.join(own)}")
    chosen = tuple(dict.fromkeys(name for name in wanted if name in own))
    if wanted and not chosen:
        raise UserError(
            f"none of --precision {' '.join(wanted)} is for {format}, which has {', '.join(own)}; "
            f"add one of them or leave {format} out of --format"
        )
    return chosen or tuple(name for name, precision in own.items() if precision.is_default)


def needs_calibration(format: str, precision: str) -> bool:
    """Whether files of this kind have integer activations."""
    return PRECISIONS[format][precision].needs_calibration
