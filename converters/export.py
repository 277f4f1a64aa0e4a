"""The export command: a checkpoint becomes a bundle, whole and checked, or not at all."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mobiledet.bundle import SUFFIX, Bundle, GoldenCase, ModelFile, write_bundle
from mobiledet.cores import usable_cores
from mobiledet.detections import Detections
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet.matching import Tolerance
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.coreml.targets import check_target
from mobiledet_converters.job import ConversionAnswer, ConversionJob, ConvertedFile
from mobiledet_converters.parity import TOLERANCES, ParityReport, check, compare
from mobiledet_converters.process import Conversion, require_converter
from mobiledet_converters.raw_outputs import Difference, compare_raw_outputs, nearest
from mobiledet_converters.reference import Reference, choose_images, load_inputs, make_reference, round_to_float16

DEFAULT_PRECISIONS = {"tflite": ("float32", "float16"), "coreml": ("float16",)}
ROUNDED_PRECISION = "float16"  # what ``round_to_float16`` imitates
GOLDEN_CASES = 3
POLL_SECONDS = 0.2
LOWEST_COREML_SQNR_DB = {"float32": 80.0, "float16": 30.0}  # of the head's outputs; the interpreter is torch too
MAX_RANK = 4  # of the tensors that GPU delegates take


@dataclass(frozen=True)
class CheckedFile:
    """A model file that has passed.

    Attributes:
        source: where it lies.
        entry: for the bundle.
        exact: numbers of the images in which every detection has its partner.
    """

    source: Path
    entry: ModelFile
    exact: set[int]


def run(config: ExportConfig) -> None:
    """The command ``mobiledet export``."""
    console = Console()
    bundle = export(config, console)
    table = Table("file", "precision", "size", "against PyTorch")
    for file in bundle.files:
        table.add_row(file.path, file.precision, f"{file.bytes / 1e6:.2f} MB", _in_words(file.parity or {}))
    console.print(table)
    console.print(f"bundle: {bundle.path}", highlight=False, soft_wrap=True)


def export(config: ExportConfig, console: Console | None = None) -> Bundle:
    """Convert a checkpoint, hold the files against PyTorch, and write the bundle.

    Args:
        config: what to export.
        console: where progress is drawn; nowhere by default.

    Raises:
        UserError: the checkpoint, the images or the output folder cannot be used, a converter is missing or fails, or
            a file does not find what PyTorch finds. Nothing is written then.
    """
    console = console or Console(quiet=True)
    formats = tuple(dict.fromkeys(config.format))
    if not formats:
        raise UserError("--format is empty; give tflite, coreml or both")
    for format in formats:
        require_converter(format)
    if "coreml" in formats:
        check_target(config.ios, config.precision)
        if not config.face:
            raise UserError("--face is empty; give graph, vision or both")
    if not config.checkpoint.is_file():  # known before the parents of the bundle are made
        raise UserError(f"no checkpoint at {config.checkpoint}")
    out = config.out or config.checkpoint.with_suffix(SUFFIX)
    with _working_folder(out, config.overwrite) as folder, ExitStack() as stack:
        jobs = {format: _job(config, format, folder) for format in formats}
        detector, spec = jobs[formats[0]].load()
        paths = choose_images(config.checkpoint, config.images, config.parity_images)
        inputs = load_inputs(paths, spec.input)
        conversions = [stack.enter_context(Conversion(format, job)) for format, job in jobs.items()]
        reference = make_reference(detector, spec, inputs)
        rounded = make_reference(round_to_float16(detector), spec, inputs)
        rounding = compare(
            reference.detections, rounded.detections, reference.cuts, spec.nms, TOLERANCES[ROUNDED_PRECISION]
        )
        count = sum(map(len, reference.detections))
        console.print(f"PyTorch finds {count} objects in {len(paths)} images of {paths[0].parent}", highlight=False)
        if not count:
            console.print("nothing but raw outputs can be compared; give --images with objects")
        answers = _wait(conversions, console)
        files = []
        for conversion, answer in zip(conversions, answers, strict=True):
            for file in answer.files:
                _warn_of_rank(file, console)
                source = conversion.job.folder / file.name
                own = rounding if file.precision == ROUNDED_PRECISION else None
                files.append(_CHECKS[conversion.format](source, file, reference, own))
        return write_bundle(
            out,
            spec,
            [(file.source, file.entry) for file in files],
            _golden_cases(reference, rounded, files),
            {name: {"iou": t.iou, "score": t.score} for name, t in TOLERANCES.items()},
            config.overwrite,
        )


@contextmanager
def _working_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder beside ``out`` that vanishes at the end; shows before all slow work whether ``out`` can be written."""
    if out.exists():
        if not overwrite:
            raise UserError(f"{out} exists already; choose another --out or pass --overwrite")
        if not (out / "bundle.json").is_file():
            raise UserError(f"{out} is not a mobiledet bundle, so it is not replaced; choose another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".work", dir=out.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {out}: {reason}; choose another --out") from error
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(config: ExportConfig, format: str, folder: Path) -> ConversionJob:
    overrides = {"iou": config.nms_iou, "score": config.nms_score, "max_detections": config.max_detections}
    nms: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    precisions = tuple(dict.fromkeys(config.precision)) or DEFAULT_PRECISIONS[format]
    (folder / format).mkdir()
    return ConversionJob(
        config.checkpoint.absolute(),
        (folder / format).absolute(),
        precisions,
        nms,
        ios=config.ios,
        faces=tuple(dict.fromkeys(config.face)),
    )


def _wait(conversions: Sequence[Conversion], console: Console) -> list[ConversionAnswer]:
    """Show what the converters do until all are done; the first failure ends the wait."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    answers: dict[str, ConversionAnswer] = {}
    with Progress(*columns, console=console, transient=True) as progress:
        tasks = {conversion.format: progress.add_task(conversion.format) for conversion in conversions}
        while len(answers) < len(conversions):
            time.sleep(POLL_SECONDS)
            for conversion in [c for c in conversions if c.format not in answers]:
                format = conversion.format
                progress.update(tasks[format], description=f"{format}: {conversion.step}")
                if not conversion.running:
                    answer = answers[format] = conversion.answer()
                    progress.remove_task(tasks[format])
                    memory = answer.peak_memory_bytes / 1e9
                    console.print(f"{format}: converted in {answer.seconds:.0f} s with {memory:.1f} GB of memory")
    return [answers[conversion.format] for conversion in conversions]


def _warn_of_rank(file: ConvertedFile, console: Console) -> None:
    rank = file.structure.get("max_rank", 0)
    if rank > MAX_RANK:
        console.print(f"{file.name} holds tensors of {rank} dimensions; GPU delegates take at most {MAX_RANK}")


def _check_tflite(
    source: Path, file: ConvertedFile, reference: Reference, rounding: ParityReport | None
) -> CheckedFile:
    """Run the file in LiteRT; ``rounding`` as in ``parity.check``.

    Raises:
        UserError: it does not find what PyTorch finds.
    """
    raw = compare_raw_outputs(source, reference.inputs[0], reference.raw, file.precision)
    how = {"checked": "detections in LiteRT against PyTorch"}
    return _check_detections(source, "tflite", file, LiteRtDetector(source), reference, rounding, raw, how)


def _check_coreml(
    source: Path, file: ConvertedFile, reference: Reference, rounding: ParityReport | None
) -> CheckedFile:
    """Run the package in the interpreter, for there is no Core ML runtime outside Apple systems; ``rounding`` as in
    ``parity.check``.

    Raises:
        UserError: it does not find what PyTorch finds.
    """
    model = CoreMlDetector(source, threads=usable_cores())
    shapes = [shape for values in reference.raw.values() for shape in (values.shape, values.shape[1:])]
    found = model.tensors(reference.inputs[0], shapes)
    raw = nearest(reference.raw, found, LOWEST_COREML_SQNR_DB[file.precision], source.name)
    how = {
        "checked": "detections in the interpreter against PyTorch",
        "verified": "interpreter-verified, not device-verified",
    }
    return _check_detections(source, "coreml", file, model, reference, rounding, raw, how)


def _check_detections(
    source: Path,
    format: str,
    file: ConvertedFile,
    model: LiteRtDetector | CoreMlDetector,
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
    parity = {
        **how,
        **asdict(report),
        "raw": {name: asdict(difference) for name, difference in raw.items()},
        **file.structure,
    }
    entry = ModelFile(file.name, format, file.precision, 0, "", parity, face=file.face)
    return CheckedFile(source, entry, _exact_images(reference, found, tolerance))


_CHECKS = {"tflite": _check_tflite, "coreml": _check_coreml}


def _exact_images(reference: Reference, found: Sequence[Detections], tolerance: Tolerance) -> set[int]:
    """Numbers of the images in which every detection has its partner, as a runtime that replays them will ask."""
    cut = reference.spec.nms.score
    return {
        index
        for index, (ours, theirs) in enumerate(zip(reference.detections, found, strict=True))
        if compare([ours], [theirs], [cut], reference.spec.nms, tolerance).is_exact
    }


def _golden_cases(reference: Reference, rounded: Reference, files: Sequence[CheckedFile]) -> list[GoldenCase]:
    """Images that any runtime can be asked to reproduce, those with the most confident detections.

    Every file agrees with PyTorch on them exactly. Those are preferred whose detections are the same in a network of
    16-bit numbers too: on the others a phone's GPU may rightly come to another result.

    Raises:
        UserError: there is none.
    """
    agreed = set.intersection(*(file.exact for file in files))
    if not agreed:
        raise UserError("no image on which all files agree with PyTorch in every detection; give more --parity-images")
    steady = _exact_images(reference, rounded.detections, TOLERANCES[ROUNDED_PRECISION])

    def preference(index: int) -> tuple[bool, float]:
        return index not in steady, -float(reference.detections[index].scores.max(initial=0))

    size = np.array([reference.spec.input.height, reference.spec.input.width] * 2, np.float32)
    cases = []
    for index in sorted(agreed, key=preference)[:GOLDEN_CASES]:
        found = reference.detections[index]
        boxes_yxyx = found.boxes_xyxy[:, [1, 0, 3, 2]] / size
        cases.append(GoldenCase(reference.inputs[index], boxes_yxyx, found.labels, found.scores))
    return cases


def _in_words(parity: dict[str, Any]) -> str:
    return (
        f"{parity['matched']} of {parity['expected']} detections in {parity['images']} images, "
        f"IoU {parity['lowest_iou']:.4f} or better, score to {parity['largest_score_difference']:.0e}"
        + (f"; {parity['verified']}" if "verified" in parity else "")
    )
