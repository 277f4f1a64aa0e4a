"""A written model file against PyTorch: run it, compare, note the figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mobiledet.bundle import ModelFile
from mobiledet.detections import Detections
from mobiledet.devices.base import ImageModel
from mobiledet.devices.coreai import RUNTIME, TESTED, CoreAiDetector
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.processes.cores import usable_cores
from mobiledet_converters.job import ConvertedFile
from mobiledet_converters.parity import ROUNDING_MARGIN, ParityReport, compare, problem, shift, worst
from mobiledet_converters.precisions import PRECISIONS, Gate
from mobiledet_converters.raw_file import open_tflite
from mobiledet_converters.raw_outputs import Difference, inside_served, inside_tflite, raw_problem
from mobiledet_converters.reference import Reference
from mobiledet_converters.rounding import Rounding
from mobiledet_converters.tflite.judge import judge

LEAST_AGREEMENT = 0.5  # where PyTorch keeps more, a file of integers with less than this is not asked for its mAP


@dataclass(frozen=True)
class CheckedFile:
    """A model file that has been held against PyTorch.

    Attributes:
        source: where it lies.
        model: that runs it.
        entry: for the bundle.
        problem: what tells it from PyTorch, in words; empty where it passes.
        found: in each image of the reference.
        is_doubtful: whether the problem is one that integers bring: the file may be sound all the same, its mAP tells.
    """

    source: Path
    model: ImageModel = field(repr=False)
    entry: ModelFile
    found: Sequence[Detections] = field(repr=False)
    problem: str = ""
    is_doubtful: bool = False

    @property
    def gate(self) -> Gate:
        return PRECISIONS[self.entry.format][self.entry.precision].gate

    def noting(self, **figures: Any) -> "CheckedFile":
        """The same with more figures of its comparison."""
        return replace(self, entry=replace(self.entry, parity={**(self.entry.parity or {}), **figures}))


def check_file(format: str, source: Path, file: ConvertedFile, reference: Reference, rounding: Rounding) -> CheckedFile:
    """Hold a file against PyTorch.

    Args:
        format: ``tflite``, ``coreml`` or ``coreai``.
        source: where the file lies.
        file: what the converter says of it.
        reference: what PyTorch finds.
        rounding: what coarser numbers do in PyTorch itself.

    Raises:
        UserError: it cannot be run.
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
        unseen = _unseen_by_map(report, gate, rounding)
        is_doubtful = not unseen
        trouble += f"; mAP is not asked, for {unseen}" if unseen and unseen not in trouble else ""
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


def _unseen_by_map(report: ParityReport, gate: Gate, rounding: Rounding) -> str:
    """Why mAP may not overrule what the detections of a few images say, in words; empty if it may.

    It does not see where all scores or boxes are off, and where most of what is found has no counterpart it may be
    high by chance. Unless integers do as much to PyTorch.
    """
    bound = worst((rounding.report(gate), rounding.report(gate, gate.rounding)))
    least = min(LEAST_AGREEMENT, _agreement(bound) / ROUNDING_MARGIN)
    if _agreement(report) < least:
        return f"only {_agreement(report):.0%} of the detections agree by score ({least:.0%} needed)"
    return shift(report, gate, bound)


def _agreement(report: ParityReport) -> float:
    return min(report.recall, report.precision, 1 - report.flipped)


def detect(model: ImageModel, image: Any, reference: Reference) -> Detections:
    """What a loaded file finds in an image of the model's size, boxes in its pixels."""
    spec = reference.spec
    model.set_input(image)
    model.invoke()
    return model.detections(spec.input.height, spec.input.width, spec.num_classes)


Opened = tuple[ImageModel, dict[str, Difference], dict[str, str]]


def _open_tflite(source: Path, reference: Reference) -> Opened:
    """The file in LiteRT."""
    raw = inside_tflite(source, reference.inputs[0], reference.raw)
    return open_tflite(source), raw, {"checked": "detections in LiteRT against PyTorch"}


def _open_coreml(source: Path, reference: Reference) -> Opened:
    """The package in the interpreter, for there is no Core ML runtime outside Apple systems."""
    model = CoreMlDetector(source, threads=usable_cores())
    how = {
        "checked": "detections in the interpreter against PyTorch",
        "verified": "interpreter-verified, not device-verified",
    }
    return model, inside_served(model, reference.inputs[0], reference.raw), how


def _open_coreai(source: Path, reference: Reference) -> Opened:
    """The asset in Apple's runtime, on this machine's processor."""
    model = CoreAiDetector(source, threads=usable_cores())
    how = {
        "checked": "detections in Apple's runtime against PyTorch",
        "verified": f"run in Apple's runtime ({RUNTIME} {TESTED[RUNTIME]}) on a CPU, not on a device",
    }
    return model, inside_served(model, reference.inputs[0], reference.raw), how


_OPENERS = {"tflite": _open_tflite, "coreml": _open_coreml, "coreai": _open_coreai}


def ask_judge(
    files: Sequence[CheckedFile], reference: Reference, folder: Path, rounding: Rounding
) -> list[CheckedFile]:
    """Run the .tflite files with TensorFlow's reference kernels too: they must find what LiteRT finds.

    They are slow: on one image, and where a file of integers fails that, which round in other ways, on all.

    Args:
        files: all files; others are handed back as they are.
        reference: gives the images; the one has the most confident detection.
        folder: an empty one to work in.
        rounding: what coarser numbers do in PyTorch itself.

    Raises:
        UserError: TensorFlow cannot run a file.
    """
    best = [float(found.scores.max(initial=0)) for found in reference.detections]
    asked = [file for file in files if file.entry.format == "tflite"]
    noted = _judged(asked, reference, [best.index(max(best))], folder)
    again = [file for file in asked if noted[file.entry.path].problem != file.problem and file.gate.has_integers]
    noted |= _judged(again, reference, range(len(best)), folder, rounding)
    return [noted.get(file.entry.path, file) for file in files]


def _judged(
    files: Sequence[CheckedFile],
    reference: Reference,
    numbers: Sequence[int],
    folder: Path,
    rounding: Rounding | None = None,
) -> dict[str, CheckedFile]:
    """The same files by their names, with what the reference kernels found in some of the images."""
    images = [reference.inputs[number] for number in numbers]
    cuts = [reference.cuts[number] for number in numbers]
    noted = {}
    for file, found in zip(files, judge([file.source for file in files], images, folder), strict=True):
        ours = [detect(file.model, image, reference) for image in images]
        report = compare(ours, found, cuts, reference.spec.nms, file.gate)
        opinion = {name: getattr(report, name) for name in ("images", "matched", "expected", "different")}
        trouble = problem(report, file.gate, rounding.report(file.gate, file.gate.rounding) if rounding else None)
        file = file.noting(reference_kernels=opinion)
        if trouble and not file.problem:
            file = replace(file, problem=f"TensorFlow's reference kernels find otherwise than LiteRT: {trouble}")
        noted[file.entry.path] = file
    return noted
