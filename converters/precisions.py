"""The precisions of model files: what each needs, and which accelerators take it. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from mobiledet.errors import UserError


@dataclass(frozen=True)
class Rung:
    """A precision of one format.

    Attributes:
        is_default: whether it is written where none is asked for.
        needs_calibration: whether activations become integers, whose steps are fitted to images.
        accelerators: what computes such a file, and in which numbers, by kind of processor.
    """

    is_default: bool
    needs_calibration: bool
    accelerators: dict[str, str]


TFLITE = {
    "float32": Rung(
        True,
        False,
        {
            "cpu": "XNNPACK, 32 bits",
            "gpu": "GPU delegate, 16 bits by default",
            "npu": "only one that computes in floats",
        },
    ),
    "float16": Rung(
        True,
        False,
        {
            "cpu": "XNNPACK, 32 bits from 16-bit weights",
            "gpu": "GPU delegate, 16 bits",
            "npu": "only one that computes in 16-bit floats",
        },
    ),
    "int8-weights": Rung(
        False,
        False,
        {
            "cpu": "XNNPACK, 32 bits from 8-bit weights",
            "gpu": "GPU delegate, 16 bits, where it takes 8-bit weights",
            "npu": "none known",
        },
    ),
    "int8": Rung(
        True,
        True,
        {
            "cpu": "XNNPACK, 8 bits; fast on processors with dot products (Arm v8.2, VNNI)",
            "gpu": "GPU delegate, in floats, if quantised models are allowed; no faster than float16",
            "npu": "the form that NPUs are made for; post-processing falls back to the CPU",
        },
    ),
    "int16x8": Rung(
        False,
        True,
        {
            "cpu": "LiteRT's own kernels alone, many times slower than float32: not in XNNPACK",
            "gpu": "none",
            "npu": "those with 16-bit activations; post-processing falls back to the CPU",
        },
    ),
}
COREML = {
    "float32": Rung(False, False, {"cpu": "32 bits", "gpu": "32 bits", "ane": "none"}),
    "float16": Rung(True, False, {"cpu": "16 bits", "gpu": "16 bits", "ane": "16 bits"}),
    "int8": Rung(False, False, dict.fromkeys(("cpu", "gpu", "ane"), "16 bits from 8-bit weights")),
    "palette6": Rung(False, False, dict.fromkeys(("cpu", "gpu", "ane"), "16 bits from palettes of 64 weights")),
    "w8a8": Rung(
        False,
        True,
        {"cpu": "16 bits", "gpu": "16 bits", "ane": "8 bits, faster from A17 Pro and M4 on"},
    ),
}
COREAI = {  # the faster one first: an app that names none takes that
    "float16": Rung(True, False, {"cpu": "16 bits", "gpu": "16 bits", "ane": "16 bits"}),
    "float32": Rung(True, False, {"cpu": "32 bits", "gpu": "32 bits", "ane": "none"}),
    "int8-weights": Rung(False, False, dict.fromkeys(("cpu", "gpu", "ane"), "16 bits from 8-bit weights")),
}
RUNGS = {"tflite": TFLITE, "coreml": COREML, "coreai": COREAI}


def choose_precisions(format: str, wanted: Sequence[str], formats: Sequence[str]) -> tuple[str, ...]:
    """The precisions of a format's files: of those that are asked for the ones it has, by default its defaults.

    Args:
        format: one of ``formats``.
        wanted: names in any order; may be empty.
        formats: all that are written, so that each name must mean something to one of them.

    Raises:
        UserError: a name is unknown to all formats, or none of them is left for this one.
    """
    rungs = RUNGS[format]
    for name in wanted:
        if not any(name in RUNGS[other] for other in formats):
            raise UserError(f"--precision {name}: {format} has {', '.join(rungs)}")
    chosen = tuple(dict.fromkeys(name for name in wanted if name in rungs))
    if wanted and not chosen:
        raise UserError(
            f"none of --precision {' '.join(wanted)} is for {format}, which has {', '.join(rungs)}; "
            f"add one of them or leave {format} out of --format"
        )
    return chosen or tuple(name for name, rung in rungs.items() if rung.is_default)


def needs_calibration(format: str, precision: str) -> bool:
    """Whether files of this kind have integer activations."""
    return RUNGS[format][precision].needs_calibration
