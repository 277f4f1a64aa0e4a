"""Compares a written model file with PyTorch and records the figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mobiledet.bundle import ModelFile
from mobiledet.detections import Detections
from mobiledet.devices.base import ImageModel
from mobiledet.devices.coreai import RUNTIME, TESTED, CoreAiDetector
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.processes.cores import threads_within, usable_cores
from mobiledet_converters.job import ConvertedFile
from mobiledet_converters.parity import ROUNDING_MARGIN, ParityReport, compare, problem, systematic_error, worst
from mobiledet_converters.precisions import PRECISIONS, Gate
from mobiledet_converters.raw_file import open_tflite
from mobiledet_converters.raw_outputs import Difference, inside_served, inside_tflite, raw_problem
from mobiledet_converters.reference import Reference
from mobiledet_converters.rounding import Rounding
from mobiledet_converters.tflite.judge import judge

MIN_AGREEMENT = 0.5  # an integer file that agrees less than this cannot pass by its mAP, unless rounding explains it


@dataclass(frozen=True)
class CheckedFile:
    """A model file that was compared with PyTorch.

    Attributes:
        source: its path.
        model: the loaded file.
        entry: its entry for the bundle.
        found: its detections in each image of the reference.
        problem: how it differs from PyTorch; empty if it passes.
        is_doubtful: whether the problem may come from quantisation alone, so that the mAP decides about the file.
    """

    source: Path
    model: ImageModel = field(repr=False)
    entry: ModelFile
    found: Sequence[Detections] = field(repr=False)
    problem: str = ""
    is_doubtful: bool = False

    @property
    def gate(self) -> Gate:
        """The limits that a file of this precision must keep to."""
        return PRECISIONS[self.entry.format][self.entry.precision].gate

    def with_figures(self, **figures: Any) -> "CheckedFile":
        """A copy with more figures in the parity record of its bundle entry."""
        return replace(self, entry=replace(self.entry, parity={**(self.entry.parity or {}), **figures}))


def check_file(format: str, source: Path, file: ConvertedFile, reference: Reference, rounding: Rounding) -> CheckedFile:
    """Compare a file with PyTorch.

    Args:
        format: ``tflite``, ``coreml`` or ``coreai``.
        source: path of the file.
        file: the converter's description of it.
        reference: the detections of PyTorch.
        rounding: how much rounding changes the detections in PyTorch itself.

    Raises:
        UserError: the file cannot be run.
    """
    model, raw, how = _OPENERS[format](source, reference)
    gate = PRECISIONS[format][file.precision].gate
    found = [detect(model, image, reference) for image in reference.inputs]
    report = compare(reference.detections, found, reference.cuts, reference.spec.nms, gate)
    rounded, lowest_db = None, gate.sqnr_db
    if gate.rounding:
        rounded = rounding.report(gate)
        lowest_db = min(lowest_db, rounding.sqnr_db)
    trouble = file.problem or raw_problem(raw, lowest_db) or problem(report, gate, rounded)
    is_doubtful = False
    if trouble and gate.has_integers:
        reason = _why_map_cannot_decide(report, gate, rounding)
        is_doubtful = not reason
        trouble += f"; mAP cannot decide: {reason}" if reason and reason not in trouble else ""
    entry = ModelFile(
        path=file.name,
        format=format,
        precision=file.precision,
        bytes=0,
        sha256="",
        parity={
            **how,
            **asdict(report),
            "raw": {name: asdict(difference) for name, difference in raw.items()},
            **file.structure,
        },
        face=file.face,
        accelerators=dict(PRECISIONS[format][file.precision].accelerators),
    )
    return CheckedFile(source, model, entry, found, trouble, is_doubtful)


def _why_map_cannot_decide(report: ParityReport, gate: Gate, rounding: Rounding) -> str:
    """Why mAP may not overrule the comparison of detections; empty if it may.

    mAP does not notice if all scores or boxes are off, and it may be high by chance if most detections have no
    counterpart. Both are accepted if rounding to integers does as much in PyTorch.
    """
    bound = worst((rounding.report(gate), rounding.report(gate, gate.rounding)))
    least = min(MIN_AGREEMENT, _agreement(bound) / ROUNDING_MARGIN)
    if _agreement(report) < least:
        return f"only {_agreement(report):.0%} of the detections agree by score ({least:.0%} needed)"
    return systematic_error(report, gate, bound)


def _agreement(report: ParityReport) -> float:
    return min(report.recall, report.precision, 1 - report.flipped)


def detect(model: ImageModel, image: Any, reference: Reference) -> Detections:
    """The detections of a loaded file in an image of the model's input size, boxes xyxy in its pixels."""
    spec = reference.spec
    model.set_input(image)
    model.invoke()
    return model.detections(spec.input.height, spec.input.width, spec.num_classes)


Opened = tuple[ImageModel, dict[str, Difference], dict[str, str]]


def _open_tflite(source: Path, reference: Reference) -> Opened:
    """Open the file in LiteRT."""
    raw = inside_tflite(source, reference.inputs[0], reference.raw)
    return open_tflite(source), raw, {"checked": "detections in LiteRT against PyTorch"}


def _open_coreml(source: Path, reference: Reference) -> Opened:
    """Open the package in the interpreter: there is no Core ML runtime outside Apple systems."""
    model = CoreMlDetector(source, threads=threads_within(usable_cores()))
    how = {
        "checked": "detections in the interpreter against PyTorch",
        "verified": "interpreter-verified, not device-verified",
    }
    return model, inside_served(model, reference.inputs[0], reference.raw), how


def _open_coreai(source: Path, reference: Reference) -> Opened:
    """Open the asset in Apple's runtime, on this machine's processor."""
    model = CoreAiDetector(source, threads=threads_within(usable_cores()))
    how = {
        "checked": "detections in Apple's runtime against PyTorch",
        "verified": f"run in Apple's runtime ({RUNTIME} {TESTED[RUNTIME]}) on a CPU, not on a device",
    }
    return model, inside_served(model, reference.inputs[0], reference.raw), how


_OPENERS = {"tflite": _open_tflite, "coreml": _open_coreml, "coreai": _open_coreai}


def check_with_reference_kernels(
    files: Sequence[CheckedFile], reference: Reference, folder: Path, rounding: Rounding
) -> list[CheckedFile]:
    """Also run the .tflite files with TensorFlow's reference kernels, whose detections must agree with LiteRT's.

    The reference kernels are slow. So they run on one image, and on all images only for an integer file that fails on
    the one, because kernels round integers differently.

    Args:
        files: all files; those of other formats are returned unchanged.
        reference: provides the images; the single one is the image with the most confident detection.
        folder: an empty folder for temporary files.
        rounding: how much rounding changes the detections in PyTorch itself.

    Raises:
        UserError: TensorFlow cannot run a file.
    """
    best = [float(found.scores.max(initial=0)) for found in reference.detections]
    tflite_files = [file for file in files if file.entry.format == "tflite"]
    noted = _record_reference_kernels(tflite_files, reference, [best.index(max(best))], folder)
    again = [file for file in tflite_files if noted[file.entry.path].problem != file.problem and file.gate.has_integers]
    noted |= _record_reference_kernels(again, reference, range(len(best)), folder, rounding)
    return [noted.get(file.entry.path, file) for file in files]


def _record_reference_kernels(
    files: Sequence[CheckedFile],
    reference: Reference,
    numbers: Sequence[int],
    folder: Path,
    rounding: Rounding | None = None,
) -> dict[str, CheckedFile]:
    """The files by name, with the result of the reference kernels on some of the images (``numbers``) recorded."""
    images = [reference.inputs[number] for number in numbers]
    cuts = [reference.cuts[number] for number in numbers]
    noted = {}
    for file, found in zip(files, judge([file.source for file in files], images, folder), strict=True):
        ours = [detect(file.model, image, reference) for image in images]
        report = compare(ours, found, cuts, reference.spec.nms, file.gate)
        opinion = {name: getattr(report, name) for name in ("images", "matched", "expected", "different")}
        trouble = problem(report, file.gate, rounding.report(file.gate, file.gate.rounding) if rounding else None)
        file = file.with_figures(reference_kernels=opinion)
        if trouble and not file.problem:
            file = replace(file, problem=f"TensorFlow's reference kernels disagree with LiteRT: {trouble}")
        noted[file.entry.path] = file
    return noted
