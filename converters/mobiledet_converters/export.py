"""The export command: converts a checkpoint to a complete, checked bundle, or writes nothing."""

import time
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from mobiledet.bundle import SUFFIX, Bundle, LeftOut, open_bundle, write_bundle
from mobiledet.data.config import OnBadData
from mobiledet.data.record import ImageFile
from mobiledet.errors import UserError
from mobiledet.model_card.make import make_card
from mobiledet.model_card.write import card_path, write_card
from mobiledet.progress import step_lines
from mobiledet.spec import ModelSpec
from mobiledet.zoo.checkpoints import find_checkpoint, print_progress
from mobiledet_converters.app_assets import folder_of_app, install
from mobiledet_converters.arrays import save_array
from mobiledet_converters.calibration import Calibration, choose_calibration
from mobiledet_converters.checks import CheckedFile, check_file, check_with_reference_kernels
from mobiledet_converters.config import EXIT_INCOMPLETE, ExportConfig
from mobiledet_converters.coreml.targets import check_target
from mobiledet_converters.golden import make_golden
from mobiledet_converters.job import ConversionAnswer, ConversionJob, ConvertedFile
from mobiledet_converters.lint.accelerators import MAX_RANK
from mobiledet_converters.measure import load_validation, measure
from mobiledet_converters.precisions import choose_precisions, needs_calibration
from mobiledet_converters.process import Conversion, require_converter
from mobiledet_converters.reference import Reference, choose_images, load_inputs, make_reference
from mobiledet_converters.rounding import Rounding
from mobiledet_converters.selection import debug, print_worst_layers, select
from mobiledet_converters.summary import print_left_out, print_summary
from mobiledet_converters.tflite.judge import is_available
from mobiledet_converters.trained_on import trained_on
from mobiledet_converters.working_folder import working_folder
from mobiledet_converters.wrapper import require_one_stage

POLL_SECONDS = 0.2


def run(config: ExportConfig) -> int:
    """The command ``mobiledet export``; returns its exit status."""
    return EXIT_INCOMPLETE if make(config, Console()).left_out else 0


def make(config: ExportConfig, console: Console) -> Bundle:
    """Write the bundle and its model card, and copy the bundle into the app that ``config.app`` names.

    Raises:
        UserError: as in ``export``, or the app's project does not exist.
    """
    if config.app:
        folder_of_app(*config.app)  # report a wrong folder before the slow work
    if config.app and _is_bundle(config.checkpoint):
        bundle = open_bundle(config.checkpoint)
    else:
        bundle = export(config, console)
        card, _ = write_card(make_card(bundle), card_path(bundle))
        console.print(f"card: {card}", highlight=False, soft_wrap=True)
    if config.app:
        console.print(f"app: {install(bundle, *config.app)}", highlight=False, soft_wrap=True)
    print_left_out(bundle, console)
    return bundle


def _is_bundle(path: Path) -> bool:
    return (path / "bundle.json").is_file() or (zipfile.is_zipfile(path) and path.suffix in (SUFFIX, ".zip"))


def export(config: ExportConfig, console: Console | None = None) -> Bundle:
    """Convert a checkpoint, compare the files with PyTorch, and write the bundle.

    Args:
        config: what to export.
        console: for progress and the summary; by default nothing is printed.

    Raises:
        UserError: the checkpoint, the images or the output folder cannot be used, a converter is missing or fails, no
            file passes the comparison with PyTorch, or one fails and ``config.strict`` is set. Nothing is written then.
    """
    console = console or Console(quiet=True)
    formats = _check(config)
    config = with_checkpoint(config)
    out = config.out or config.checkpoint.with_suffix(SUFFIX)
    with working_folder(out, config.overwrite) as folder, ExitStack() as stack:
        jobs: dict[str, ConversionJob] = {format: _job(config, format, folder) for format in formats}
        detector, spec = jobs[formats[0]].load()
        require_one_stage(config.postprocess, detector, spec)
        run = trained_on(config.checkpoint)
        on_bad_data: OnBadData = config.on_bad_data or (run.options["on_bad_data"] if run else "error")
        validation, unmeasured = load_validation(config, run, spec)
        calibration = _calibrate(jobs, config, spec, console)
        named = validation if config.data else None
        images = choose_images(config.checkpoint, config.images, config.parity_images, on_bad_data, named)
        conversions = [stack.enter_context(Conversion(format, job)) for format, job in jobs.items()]
        reference = make_reference(detector, spec, load_inputs(images, spec.input), config.postprocess)
        _print_reference(reference, images, console)
        rounding = Rounding(detector, reference, config.postprocess)

        answers = _wait(conversions, console)
        files, unusable = _check_files(conversions, answers, reference, rounding, calibration, console)
        # the reference kernels are compared by detections, which files with raw outputs do not give
        if config.judge and "tflite" in formats and config.postprocess != "none" and is_available():
            (folder / "judge").mkdir()
            files = check_with_reference_kernels(files, reference, folder / "judge", rounding)
        if config.debug_quantization:
            debug(files, reference, out.with_suffix(".quantization"), console)
        if validation:
            files = measure(files, detector, spec, validation, console, on_bad_data)
        kept, left_out = select(files, config)
        left_out = [*unusable, *left_out]
        print_worst_layers([file for file in files if file not in kept], reference, console)
        if left_out and (config.strict or not kept):
            raise UserError(_nothing_written(left_out))
        golden = make_golden(kept, detector, reference, images, rounding)
        sources = [(file.source, file.entry) for file in kept]
        bundle = write_bundle(out, spec, sources, golden, config.overwrite, left_out)
    print_summary(bundle, unmeasured, console)
    return bundle


def _check(config: ExportConfig) -> tuple[str, ...]:
    """The formats to write, after all options have been checked.

    Raises:
        UserError: options contradict each other, or something is missing on this machine.
    """
    formats = tuple(dict.fromkeys(config.formats))
    if not formats:
        raise UserError("--format is empty; give one or more of tflite, coreml and coreai")
    for format in formats:
        require_converter(format)
    if config.postprocess != "graph" and formats != ("tflite",):
        raise UserError(f"--postprocess {config.postprocess} is for TFLite files only; add --format tflite")
    if "coreml" in formats:
        check_target(config.ios, choose_precisions("coreml", config.precisions, formats))
        if not config.face:
            raise UserError("--face is empty; give graph, vision or both")
    return formats


def with_checkpoint(config: ExportConfig) -> ExportConfig:
    """The settings with the file of a checkpoint that may be given by the name of a published detector; its bundle is
    then written to the current folder by default.

    Raises:
        UserError: there is no such file or name, or the published detector cannot be downloaded.
    """
    path = find_checkpoint(config.checkpoint, print_progress)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    if path == config.checkpoint:
        return config
    out = config.out or Path(f"{config.checkpoint.name.replace(':', '-')}{SUFFIX}")
    return replace(config, checkpoint=path, out=out)


def _print_reference(reference: Reference, images: Sequence[ImageFile], console: Console) -> None:
    count = sum(map(len, reference.detections))
    console.print(
        f"PyTorch detects {count} objects in {len(images)} images of {images[0].path.parent}", highlight=False
    )
    if not count:
        console.print("only raw outputs can be compared; give --images with objects")


def _nothing_written(left_out: Sequence[LeftOut]) -> str:
    more = f" ({len(left_out)} files in all)" if len(left_out) > 1 else ""
    return f"{left_out[0]}{more}; no bundle is written"


def _calibrate(
    jobs: dict[str, ConversionJob], config: ExportConfig, spec: ModelSpec, console: Console
) -> Calibration | None:
    """Load the calibration images and pass them to the jobs that need them; None if no job does.

    Raises:
        UserError: the images cannot be used.
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
        f"calibrating with {len(calibration.images)} images of {calibration.source}, seed {calibration.seed}",
        highlight=False,
    )
    return calibration


def _check_files(
    conversions: Sequence[Conversion],
    answers: Sequence[ConversionAnswer],
    reference: Reference,
    rounding: Rounding,
    calibration: Calibration | None,
    console: Console,
) -> tuple[list[CheckedFile], list[LeftOut]]:
    """Compare every file with PyTorch: the files that can be run, and those that cannot."""
    files, unusable = [], []
    for conversion, answer in zip(conversions, answers, strict=True):
        for file in answer.files:
            _warn_of_rank(file, console)
            try:
                checked = check_file(conversion.format, conversion.job.folder / file.name, file, reference, rounding)
            except UserError as error:
                unusable.append(LeftOut(file.name, str(error), "please report it with this line"))
                continue
            if calibration and needs_calibration(conversion.format, file.precision):
                checked = replace(checked, entry=replace(checked.entry, calibration=calibration.record()))
            files.append(checked)
    return files, unusable


def _job(config: ExportConfig, format: str, folder: Path) -> ConversionJob:
    overrides = {"iou": config.nms_iou, "score": config.nms_score, "max_detections": config.max_detections}
    nms: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    precisions = choose_precisions(format, config.precisions, config.formats)
    (folder / format).mkdir()
    return ConversionJob(
        config.checkpoint.absolute(),
        (folder / format).absolute(),
        precisions,
        nms,
        ios=config.ios,
        faces=tuple(dict.fromkeys(config.face)),
        int8_input=config.int8_input,
        postprocess=config.postprocess,
    )


def _wait(conversions: Sequence[Conversion], console: Console) -> list[ConversionAnswer]:
    """Show the progress of the converters until all are done, or until one fails."""
    answers: dict[str, ConversionAnswer] = {}
    with step_lines(console) as progress:
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
        console.print(f"{file.name} has tensors with {rank} dimensions; GPU delegates support at most {MAX_RANK}")
