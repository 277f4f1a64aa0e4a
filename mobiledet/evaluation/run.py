"""The command ``mobiledet evaluate``: measures a model file of a bundle on a device."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mobiledet
from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet
from mobiledet.devices import open_device
from mobiledet.devices.base import MAX_THREADS, BenchmarkPlan, Device, Session
from mobiledet.devices.options import InputMode
from mobiledet.devices.untimed import why_untimed
from mobiledet.errors import UserError
from mobiledet.evaluation.accuracy import LATENCY_ONLY, measure_accuracy
from mobiledet.evaluation.analysis import requested_rules
from mobiledet.evaluation.config import EvaluateConfig
from mobiledet.evaluation.cross_check import default_cross_check_path, measure_cross_check, write_cross_check
from mobiledet.evaluation.detection_log import DetectionLog, Origin, keep_detections, open_log, partial_path
from mobiledet.evaluation.images import check_images, load_images, recorded_images
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.opened import recommended_notice
from mobiledet.evaluation.plan import benchmark_plan
from mobiledet.evaluation.result import Latency, Result, default_out, write_result
from mobiledet.evaluation.summary import print_cross_check, print_summary
from mobiledet.evaluation.tiles import TiledSession, Tiling, parse_tiling
from mobiledet.metrics.scoring import require_boxes
from mobiledet.metrics.thresholds import Rule

HOST_PACKAGES = ("numpy", "pillow", "opencv-python-headless", "hotcoco", "faster-coco-eval", "pycocotools")


def run(config: EvaluateConfig) -> None:
    """The command ``mobiledet evaluate``."""
    if config.tool == "benchmark_model":
        _cross_check(config)
        return
    _check(config)
    bundle = open_bundle(config.bundle)
    file = _file(config, bundle)
    notice = "" if config.file or config.precision else recommended_notice(bundle, file)
    if notice:
        print(notice, flush=True)
    out = config.out or default_out(bundle, file, config.device)
    result = measure(dataclasses.replace(config, out=out), bundle, command=_command(config.token))
    print_summary(result)
    print(f"result: {out}")


def measure(config: EvaluateConfig, bundle: Bundle, command: str = "", quiet: bool = False) -> Result:
    """Evaluate as the command does, without printing a summary.

    Args:
        config: options; without ``out`` nothing is written, and an interrupted evaluation cannot be continued.
        bundle: the opened bundle of ``config``.
        command: command line to record.
        quiet: show no progress.

    Raises:
        UserError: options contradict each other, or as in ``evaluate``.
    """
    _check(config)
    file = _file(config, bundle)
    if config.out:
        _check_writable(config.out)
    dataset = load_images(config, bundle.spec.input.exif) if config.accuracy else None
    plan = benchmark_plan(config) if config.latency else None
    # last, since opening a phone changes it
    with closing(open_device(config.device, config.token, config.mode, config.phone)) as device:
        result = evaluate(
            bundle,
            file,
            device,
            dataset,
            accelerator=config.accelerator,
            threads=config.threads,
            scorer=config.scorer,
            rules=requested_rules(config.min_precision, config.min_recall, config.match_iou),
            match_iou=config.match_iou,
            on_bad_data=config.on_bad_data,
            plan=plan,
            tiling=parse_tiling(config.tiles, config.tile_overlap),
            mode=config.mode,
            strict=config.strict,
            log_path=partial_path(config.out) if config.out else None,
            fresh=config.fresh,
            command=command,
            quiet=quiet,
        )
    if result.accuracy:
        accuracy = dataclasses.replace(result.accuracy, source=recorded_images(config))
        result = dataclasses.replace(result, accuracy=accuracy)
    if config.out:
        write_result(config.out, result)
        if dataset:
            keep_detections(config.out)
    return result


def _cross_check(config: EvaluateConfig) -> None:
    out = config.out or default_cross_check_path(config)
    _check_writable(out)
    check = measure_cross_check(config, _command(config.token))
    write_cross_check(out, check)
    print_cross_check(check)
    print(f"cross-check: {out}")


def evaluate(
    bundle: Bundle,
    file: ModelFile,
    device: Device,
    dataset: DetectionSet | None,
    *,
    accelerator: str = "auto",
    threads: int = 0,
    scorer: str = "hotcoco",
    rules: Sequence[Rule] = (Rule(),),
    match_iou: float = 0.5,
    on_bad_data: OnBadData = "error",
    plan: BenchmarkPlan | None = None,
    tiling: Tiling | None = None,
    mode: InputMode = "image",
    strict: bool = False,
    log_path: Path | None = None,
    fresh: bool = False,
    command: str = "",
    quiet: bool = False,
) -> Result:
    """Measure a model file on a device.

    First the golden inputs are checked, then latency is measured while the device is cool, then accuracy, and finally
    the golden inputs are checked again: a device that became faulty meanwhile gets no result.

    Args:
        bundle, file: the model file to run.
        device: the device to run on.
        dataset: data set for the accuracy; None does not measure it.
        accelerator: as in ``Device.load``.
        threads: as in ``Device.load``.
        scorer: one of ``metrics.coco.SCORERS``.
        rules, match_iou: as in ``measure_accuracy``.
        on_bad_data: what to do with an image that cannot be decoded or does not have its annotated size.
        plan: duration of the latency measurement; None does not measure it.
        tiling: tiles that are run besides whole images, for the accuracy; None runs only whole images.
        mode: the mode with which the device was opened.
        strict: refuse a device that does not run on the requested accelerator.
        log_path: file that stores the detections of each image, so that an interrupted evaluation can continue; None
            stores nothing. The caller removes or renames it afterwards.
        fresh: discard the existing content of the log.
        command: command line to record.
        quiet: show no progress.

    Raises:
        UserError: the device refuses the file or does not reproduce the golden detections, or the data is bad.
    """
    session: Session = device.load(bundle, file, accelerator, threads)
    if tiling:
        session = TiledSession(session, bundle.spec, tiling)
    execution = session.execution
    if strict and accelerator not in ("auto", execution.actual):
        raise UserError(f"{device.info().name} fell back from {accelerator} to {execution.actual}; see --accelerator")
    untimed = why_untimed(device.info().runtime)
    if untimed and not dataset:
        raise UserError(f"{device.info().name} measures no latency ({untimed}); measure mAP: give --data")
    golden = session.golden()
    latency = accuracy = None
    if dataset:
        require_boxes(dataset, LATENCY_ONLY)
        images = dataset.sha256()
        cut = str(session.tiling) if isinstance(session, TiledSession) else ""
        origin = Origin(bundle.sha256, file.path, device.info(), execution, mode, images, bundle.spec.labels, cut)
        with open_log(log_path, origin, fresh) if log_path else nullcontext() as log:
            latency = _measure_latency(session, plan, log) if plan else None
            accuracy = measure_accuracy(
                session,
                bundle.spec,
                dataset,
                scorer,
                on_bad_data,
                log,
                mode,
                quiet,
                not untimed,
                rules,
                match_iou,
            )
    elif plan:
        latency = _measure_latency(session, plan)
    session.golden()
    return Result(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        bundle=str(bundle.path),
        bundle_sha256=bundle.sha256,
        spec=bundle.spec,
        file=file,
        device=device.info(),
        execution=session.execution,
        golden=golden,
        accuracy=accuracy,
        latency=latency,
        versions=_versions(),
    )


def _measure_latency(session: Session, plan: BenchmarkPlan, log: DetectionLog | None = None) -> Latency | None:
    """Measure latency, or read it from the log; None if an interpreter runs the file, whose times are meaningless."""
    samples = log.samples(plan) if log else None
    if samples is None:
        samples = session.benchmark(plan)
        if samples is None:
            return None
        if log:
            log.add_samples(plan, samples)
    measured = {name: value for name, value in vars(samples).items() if name != "infer_ns"}
    return Latency(LatencyStats.of(samples.infer_ns), plan, **measured)


def _file(config: EvaluateConfig, bundle: Bundle) -> ModelFile:
    return bundle.choose(config.file or config.precision, config.accelerator, config.device)


def _check(config: EvaluateConfig) -> None:
    """Raise ``UserError`` if options contradict each other, before any work."""
    if config.file and config.precision:
        raise UserError("--file and --precision both choose the model file; give one of them")
    if not config.accuracy and not config.latency:
        raise UserError("--no-accuracy and --no-latency leave nothing to measure; drop one of them")
    if config.accuracy:
        check_images(config, "or --no-accuracy to measure latency alone")
    if config.tiles and not config.accuracy:
        raise UserError("--tiles affects only mAP; drop it or --no-accuracy")
    if not config.accuracy and (config.min_precision, config.min_recall) != (None, None):
        raise UserError("--min-precision and --min-recall need the accuracy; drop them or --no-accuracy")
    requested_rules(config.min_precision, config.min_recall, config.match_iou)
    parse_tiling(config.tiles, config.tile_overlap)
    if not 0 <= config.threads <= MAX_THREADS:
        raise UserError(f"--threads {config.threads} is not in 0..{MAX_THREADS}")
    benchmark_plan(config)


def _command(secret: str) -> str:
    """The command line, with the secret token replaced."""
    arguments = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return shlex.join(argument.replace(secret, "TOKEN") if secret else argument for argument in arguments)


def _check_writable(path: Path) -> None:
    """Raise ``UserError`` before the measurement if its result cannot be written."""
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give the name of a file")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise UserError(f"cannot write {path}: {parent} is not a folder")
    if not os.access(parent, os.W_OK):
        raise UserError(f"cannot write {path}: no permission to write to {parent}")


def _versions() -> dict[str, str]:
    versions = {"mobiledet": mobiledet.__version__, "python": sys.version.split()[0]}
    for name in HOST_PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
