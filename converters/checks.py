"""A written model file against PyTorch: run it, compare, note the figures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mobiledet.bundle import ModelFile
from mobiledet.cores import usable_cores
from mobiledet.data.images import resize
from mobiledet.detections import Detections
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.devices.golden import UNSETTLED_SHARE
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance, compare_lists
from mobiledet.spec import ModelSpec
from mobiledet_converters.job import ConvertedFile
from mobiledet_converters.parity import TOLERANCES, ParityReport, check, compare
from mobiledet_converters.precisions import RUNGS
from mobiledet_converters.raw_file import RawLiteRtDetector, open_tflite
from mobiledet_converters.raw_outputs import Difference, compare_raw_outputs, nearest
from mobiledet_converters.reference import Reference
from mobiledet_converters.tflite.judge import judge

GOLDEN_CASES = 3
ROUNDED_PRECISION = "float16"  # what ``reference.round_to_float16`` imitates
# of the head's outputs; the interpreter is torch too
LOWEST_COREML_SQNR_DB = {"float32": 80.0, "float16": 30.0, "int8": 12.0, "palette6": 6.0, "w8a8": 6.0}


@dataclass(frozen=True)
class CheckedFile:
    """A model file that has passed.

    Attributes:
        source: where it lies.
        model: that runs it.
        entry: for the bundle.
        replayable: numbers of the images that can be golden cases for it.
    """

    source: Path
    model: LiteRtDetector | RawLiteRtDetector | CoreMlDetector = field(repr=False)
    entry: ModelFile
    replayable: set[int]


def check_file(
    format: str, source: Path, file: ConvertedFile, reference: Reference, rounding: ParityReport
) -> CheckedFile:
    """Hold a file against PyTorch.

    Args:
        format: ``tflite`` or ``coreml``.
        source: where the file lies.
        file: what the converter says of it.
        reference: what PyTorch finds.
        rounding: the most that numbers of 16 bits do in PyTorch itself, see ``parity.check``.

    Raises:
        UserError: it cannot be run, or does not find what PyTorch finds.
    """
    own = rounding if file.precision == ROUNDED_PRECISION else None
    return _CHECKS[format](source, file, reference, own)


def _check_tflite(
    source: Path, file: ConvertedFile, reference: Reference, rounding: ParityReport | None
) -> CheckedFile:
    """Run the file in LiteRT."""
    raw = compare_raw_outputs(source, reference.inputs[0], reference.raw, file.precision)
    how = {"checked": "detections in LiteRT against PyTorch"}
    return _check_detections(source, "tflite", file, open_tflite(source), reference, rounding, raw, how)


def _check_coreml(
    source: Path, file: ConvertedFile, reference: Reference, rounding: ParityReport | None
) -> CheckedFile:
    """Run the package in the interpreter, for there is no Core ML runtime outside Apple systems."""
    model = CoreMlDetector(source, threads=usable_cores())
    shapes = [shape for values in reference.raw.values() for shape in (values.shape, values.shape[1:])]
    found = model.tensors(reference.inputs[0], shapes)
    raw = nearest(reference.raw, found, LOWEST_COREML_SQNR_DB[file.precision], source.name)
    how = {
        "checked": "detections in the interpreter against PyTorch",
        "verified": "interpreter-verified, not device-verified",
    }
    return _check_detections(source, "coreml", file, model, reference, rounding, raw, how)


_CHECKS = {"tflite": _check_tflite, "coreml": _check_coreml}


def _check_detections(
    source: Path,
    format: str,
    file: ConvertedFile,
    model: LiteRtDetector | RawLiteRtDetector | CoreMlDetector,
    reference: Reference,
    rounding: ParityReport | None,
    raw: dict[str, Difference],
    how: dict[str, str],
) -> CheckedFile:
    """Run the loaded file on every image, compare, and put the findings together."""
    spec, tolerance = reference.spec, TOLERANCES[file.precision]
    found = []
    for image in reference.inputs:
        model.set_input(image)
        model.invoke()
        found.append(model.detections(spec.input.height, spec.input.width, spec.num_classes))
    report = compare(reference.detections, found, reference.cuts, spec.nms, tolerance)
    check(report, tolerance, file.name, rounding)
    parity: dict[str, Any] = {
        **how,
        **asdict(report),
        "raw": {name: asdict(difference) for name, difference in raw.items()},
        **file.structure,
    }
    accelerators = RUNGS[format][file.precision].accelerators
    entry = ModelFile(file.name, format, file.precision, 0, "", parity, face=file.face, accelerators=dict(accelerators))
    return CheckedFile(source, model, entry, _replayable_images(reference, found, tolerance))


def ask_judge(files: Sequence[CheckedFile], reference: Reference, folder: Path) -> list[CheckedFile]:
    """Run the .tflite files with TensorFlow's reference kernels too, on one image: they must find what LiteRT finds.

    Args:
        files: all files; others are handed back as they are.
        reference: gives the image.
        folder: an empty one to work in.

    Raises:
        UserError: they do not agree.
    """
    asked = [file for file in files if file.entry.format == "tflite"]
    number = min(set.intersection(*(file.replayable for file in files)), default=0)
    image, nms = reference.inputs[number], reference.spec.nms
    noted = {}
    for file, (found,) in zip(asked, judge([file.source for file in asked], [image], folder), strict=True):
        file.model.set_input(image)
        file.model.invoke()
        size = reference.spec.input
        ours = file.model.detections(size.height, size.width, reference.spec.num_classes)
        gate = TOLERANCES[file.entry.precision]
        report = compare([ours], [found], [reference.cuts[number]], nms, gate)
        if report.different > gate.different * report.expected:
            raise UserError(
                f"{file.entry.path}: LiteRT and TensorFlow's reference kernels disagree, {report.matched} of "
                f"{report.expected} detections match; {report.example}"
            )
        opinion = {"matched": report.matched, "expected": report.expected, "different": report.different}
        parity = {**(file.entry.parity or {}), "reference_kernels": opinion}
        noted[file.entry.path] = replace(file, entry=replace(file.entry, parity=parity))
    return [noted.get(file.entry.path, file) for file in files]


def _replayable_images(reference: Reference, found: Sequence[Detections], tolerance: Tolerance) -> set[int]:
    """Numbers of the images with which a runtime that replays them passes the golden gate."""
    nms = reference.spec.nms
    numbers = set()
    for number, (ours, theirs) in enumerate(zip(reference.detections, found, strict=True)):
        compared = compare_lists(ours, theirs, nms.score, nms, tolerance)
        sides = compared.missing, compared.invented
        unsettled = sum(len(side.unsettled) for side in sides)
        if not any(len(side.unexplained) for side in sides) and unsettled <= UNSETTLED_SHARE * len(ours):
            numbers.add(number)
    return numbers


def golden_cases(reference: Reference, rounded: Sequence[Reference], files: Sequence[CheckedFile]) -> Golden:
    """Images that any runtime can be asked to reproduce, those with the most confident detections; the first one as a
    picture of another size besides.

    Every file agrees with PyTorch on them. Those are preferred whose detections are the same in a network of 16-bit
    numbers too: on the others a phone's GPU may rightly come to another result.

    Raises:
        UserError: there is none.
    """
    agreed = set.intersection(*(file.replayable for file in files))
    if not agreed:
        raise UserError("no image on which all files agree with PyTorch in every detection; give more --parity-images")
    tolerance = TOLERANCES[ROUNDED_PRECISION]
    steady = set.intersection(*(_replayable_images(reference, other.detections, tolerance) for other in rounded))

    def preference(index: int) -> tuple[bool, float]:
        return index not in steady, -float(reference.detections[index].scores.max(initial=0))

    spec, chosen = reference.spec, sorted(agreed, key=preference)[:GOLDEN_CASES]
    cases = [GoldenInput.of_pixels(reference.inputs[index]) for index in chosen]
    larger = resize(reference.inputs[chosen[0]], spec.input.height * 5 // 4, spec.input.width * 3 // 2)
    cases.append(GoldenInput.of_picture(larger))
    return Golden(tuple(cases), {file.entry.path: _golden_file(file, cases, spec) for file in files})


def _golden_file(file: CheckedFile, cases: Sequence[GoldenInput], spec: ModelSpec) -> GoldenFile:
    """What a file gives for the cases in the runtime at hand."""
    outputs = []
    for case in cases:
        file.model.set_input(case.pixels(spec))
        file.model.invoke()
        outputs.append(GoldenOutputs.of(file.model.detections(1, 1, spec.num_classes), 1, 1))
    gate = TOLERANCES[file.entry.precision]
    tolerance = Tolerance(gate.iou, gate.score)
    runtime = "litert" if file.entry.format == "tflite" else "interpreter"
    return GoldenFile(tuple(outputs), runtime, tolerance, tolerance)
