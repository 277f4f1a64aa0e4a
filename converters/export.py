"""The export command: a checkpoint becomes a bundle, whole and checked, or not at all."""

import time
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mobiledet.bundle import SUFFIX, Bundle, open_bundle, write_bundle
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec
from mobiledet_converters.app_assets import folder_of_app, install
from mobiledet_converters.arrays import save_array
from mobiledet_converters.calibration import Calibration, choose_calibration, run_settings
from mobiledet_converters.checks import ROUNDED_PRECISION, CheckedFile, ask_judge, check_file, golden_cases
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.coreml.targets import check_target
from mobiledet_converters.job import ConversionAnswer, ConversionJob, ConvertedFile
from mobiledet_converters.lint.accelerators import MAX_RANK
from mobiledet_converters.measure import load_validation
from mobiledet_converters.parity import TOLERANCES, ParityReport, compare, worst
from mobiledet_converters.precisions import choose_precisions, needs_calibration
from mobiledet_converters.process import Conversion, require_converter
from mobiledet_converters.reference import Reference, choose_images, load_inputs, make_reference, round_to_float16
from mobiledet_converters.selection import common_images, debug, measure
from mobiledet_converters.tflite.judge import is_available
from mobiledet_converters.working_folder import working_folder
from mobiledet_converters.wrapper import require_one_stage

POLL_SECONDS = 0.2
ROUNDINGS = 12  # ways of PyTorch to compute in 16 bits that a file is held against


def run(config: ExportConfig) -> None:
    """The command ``mobiledet export``."""
    console = Console()
    if config.app:
        folder_of_app(*config.app)  # a wrong one is told before all slow work
    if config.app and _is_bundle(config.checkpoint):
        bundle = open_bundle(config.checkpoint)
    else:
        bundle = export(config, console)
        _print_files(bundle, console)
    if config.app:
        console.print(f"app: {install(bundle, *config.app)}", highlight=False, soft_wrap=True)


def _is_bundle(path: Path) -> bool:
    return (path / "bundle.json").is_file() or (zipfile.is_zipfile(path) and path.suffix in (SUFFIX, ".zip"))


def _print_files(bundle: Bundle, console: Console) -> None:
    table = Table("file", "precision", "size", "mAP", "against PyTorch")
    for file in bundle.files:
        ap = f"{file.map['AP']:.4f} ({-file.map['drop']:+.4f})" if file.map else "not measured"
        table.add_row(file.path, file.precision, f"{file.bytes / 1e6:.2f} MB", ap, _in_words(file.parity or {}))
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
    if config.postprocess != "graph" and formats != ("tflite",):
        raise UserError(f"--postprocess {config.postprocess} is a form of TFLite files alone; add --format tflite")
    if "coreml" in formats:
        check_target(config.ios, choose_precisions("coreml", config.precision, formats))
        if not config.face:
            raise UserError("--face is empty; give graph, vision or both")
        if config.qat_steps < 0:
            raise UserError(f"--qat-steps {config.qat_steps} is negative")
    if not config.checkpoint.is_file():  # known before the parents of the bundle are made
        raise UserError(f"no checkpoint at {config.checkpoint}")
    out = config.out or config.checkpoint.with_suffix(SUFFIX)
    with working_folder(out, config.overwrite) as folder, ExitStack() as stack:
        jobs: dict[str, ConversionJob] = {format: _job(config, format, folder) for format in formats}
        detector, spec = jobs[formats[0]].load()
        require_one_stage(config.postprocess, detector, spec)
        dataset = (
            load_validation(config.data, run_settings(config.checkpoint), config.measure_images)
            if config.measure
            else None
        )
        calibration = _calibrate(jobs, config, spec, console)
        paths = choose_images(config.checkpoint, config.images, config.parity_images)
        inputs = load_inputs(paths, spec.input)
        conversions = [stack.enter_context(Conversion(format, job)) for format, job in jobs.items()]
        reference = make_reference(detector, spec, inputs, config.postprocess)
        rounded = [
            make_reference(round_to_float16(detector, seed), spec, inputs, config.postprocess)
            for seed in range(ROUNDINGS)
        ]
        tolerance = TOLERANCES[ROUNDED_PRECISION]
        rounding = worst(
            compare(reference.detections, other.detections, reference.cuts, spec.nms, tolerance) for other in rounded
        )
        count = sum(map(len, reference.detections))
        console.print(f"PyTorch finds {count} objects in {len(paths)} images of {paths[0].parent}", highlight=False)
        if not count:
            console.print("nothing but raw outputs can be compared; give --images with objects")
        answers = _wait(conversions, console)
        files = _check(conversions, answers, config, reference, rounding, calibration, console)
        files = common_images(files, console)
        # it compares detections; files that end in raw outputs give none
        if config.judge and "tflite" in formats and config.postprocess != "none" and is_available():
            (folder / "judge").mkdir()
            files = ask_judge(files, reference, folder / "judge")
        if config.debug_quantization:
            debug(files, reference, out.with_suffix(".quantization"), console)
        if dataset:
            files = measure(files, config, detector, reference, dataset, console)
        return write_bundle(
            out,
            spec,
            [(file.source, file.entry) for file in files],
            golden_cases(reference, rounded, files),
            config.overwrite,
        )


def _calibrate(
    jobs: dict[str, ConversionJob], config: ExportConfig, spec: ModelSpec, console: Console
) -> Calibration | None:
    """Load the calibration images and give them to the jobs that need them; None where none does.

    Raises:
        UserError: they cannot be used.
    """
    needing = [f for f, job in jobs.items() if any(needs_calibration(f, precision) for precision in job.precisions)]
    if not needing:
        return None
    calibration = choose_calibration(config, config.checkpoint, spec)
    if calibration.warning:
        console.print(calibration.warning, highlight=False)
    path = jobs[needing[0]].folder.parent / "calibration.npy"
    save_array(path, calibration.load(spec.input))
    jobs.update({format: replace(jobs[format], calibration=path) for format in needing})
    console.print(
        f"calibration with {len(calibration.images)} images of {calibration.source}, seed {calibration.seed}",
        highlight=False,
    )
    return calibration


def _check(
    conversions: Sequence[Conversion],
    answers: Sequence[ConversionAnswer],
    config: ExportConfig,
    reference: Reference,
    rounding: ParityReport,
    calibration: Calibration | None,
    console: Console,
) -> list[CheckedFile]:
    """Hold every file against PyTorch. One of integers that nobody asked for is left out if it fails.

    Raises:
        UserError: another one fails.
    """
    files = []
    for conversion, answer in zip(conversions, answers, strict=True):
        for file in answer.files:
            _warn_of_rank(file, console)
            try:
                checked = check_file(conversion.format, conversion.job.folder / file.name, file, reference, rounding)
            except UserError as error:
                if file.precision.startswith("float") or file.precision in config.precision:
                    raise
                console.print(f"left out: {error}", highlight=False)
                continue
            if calibration and needs_calibration(conversion.format, file.precision):
                checked = replace(checked, entry=replace(checked.entry, calibration=calibration.record()))
            files.append(checked)
    return files


def _job(config: ExportConfig, format: str, folder: Path) -> ConversionJob:
    overrides = {"iou": config.nms_iou, "score": config.nms_score, "max_detections": config.max_detections}
    nms: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    precisions = choose_precisions(format, config.precision, config.format)
    (folder / format).mkdir()
    return ConversionJob(
        config.checkpoint.absolute(),
        (folder / format).absolute(),
        precisions,
        nms,
        ios=config.ios,
        faces=tuple(dict.fromkeys(config.face)),
        int8_input=config.int8_input,
        qat_steps=config.qat_steps,
        postprocess=config.postprocess,
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


def _in_words(parity: dict[str, Any]) -> str:
    return (
        f"{parity['matched']} of {parity['expected']} detections in {parity['images']} images, "
        f"IoU {parity['lowest_iou']:.4f} or better, score to {parity['largest_score_difference']:.0e}"
        + (f"; {parity['verified']}" if "verified" in parity else "")
    )
