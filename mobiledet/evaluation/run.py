"""``mobiledet evaluate``: a model file of a bundle, on a device, as a result."""

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
from mobiledet.devices.base import MOST_THREADS, BenchmarkPlan, Device, Session
from mobiledet.devices.options import InputMode
from mobiledet.devices.untimed import why_untimed
from mobiledet.errors import UserError
from mobiledet.evaluation.accuracy import LATENCY_ALONE, measure_accuracy
from mobiledet.evaluation.analysis import wished_rules
from mobiledet.evaluation.config import EvaluateConfig
from mobiledet.evaluation.cross_check import default_cross_check_path, measure_cross_check, write_cross_check
from mobiledet.evaluation.detection_log import DetectionLog, Origin, keep_detections, open_log, partial_path
from mobiledet.evaluation.images import check_images, load_images, recorded_images
from mobiledet.evaluation.latency import LatencyStats
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
    out = config.out or default_out(bundle, bundle.select(config.file or config.precision), config.device)
    result = measure(dataclasses.replace(config, out=out), bundle, command=_command(config.token))
    print_summary(result)
    print(f"result: {out}")


def measure(config: EvaluateConfig, bundle: Bundle, command: str = "", quiet: bool = False) -> Result:
    """Do what the command does, but for its words on the terminal.

    Args:
        config: its settings; without ``out`` nothing is written, and an evaluation that is interrupted cannot go on.
        bundle: that of the settings, opened.
        command: to record.
        quiet: show no progress.

    Raises:
        UserError: options contradict each other, or as in ``evaluate``.
    """
    _check(config)
    file = bundle.select(config.file or config.precision)
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
            rules=wished_rules(config.min_precision, config.min_recall, config.match_iou),
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

    The golden gate comes first, then the latency while the device is cool, then the accuracy, then the golden gate once
    more: a device that broke on the way gets no result.

    Args:
        bundle, file: what to run.
        device: where.
        dataset: measures the accuracy on it; None leaves it out.
        accelerator: as in ``Device.load``.
        threads: as in ``Device.load``.
        scorer: one of ``metrics.coco.SCORERS``.
        rules, match_iou: as in ``measure_accuracy``.
        on_bad_data: what to do with an image that cannot be decoded or is not of the annotated size.
        plan: how long to measure the latency; None leaves it out.
        tiling: how images are cut for the accuracy, beside whole ones; None takes whole ones alone.
        mode: what the device was opened for.
        strict: refuse a device that fell back from the accelerator.
        log_path: keeps what is known of each image, so that an evaluation that ends early can go on; None keeps
            nothing. It is there when this returns, and for the caller to remove or rename.
        fresh: start anew where the log holds something.
        command: to record.
        quiet: show no progress.

    Raises:
        UserError: the device refuses the file, gives other detections than the golden ones, or the data is bad.
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
        require_boxes(dataset, LATENCY_ALONE)
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
    """The latency; None where what runs the file is no runtime of it but an interpreter, whose times say nothing."""
    samples = log.samples(plan) if log else None
    if samples is None:
        samples = session.benchmark(plan)
        if samples is None:
            return None
        if log:
            log.add_samples(plan, samples)
    measured = {name: value for name, value in vars(samples).items() if name != "infer_ns"}
    return Latency(LatencyStats.of(samples.infer_ns), plan, **measured)


def _check(config: EvaluateConfig) -> None:
    """Refuse options that contradict each other, before any work."""
    if config.file and config.precision:
        raise UserError("--file and --precision both choose the model file; give one of them")
    if not config.accuracy and not config.latency:
        raise UserError("--no-accuracy and --no-latency leave nothing to measure; drop one of them")
    if config.accuracy:
        check_images(config, "or --no-accuracy to measure latency alone")
    if config.tiles and not config.accuracy:
        raise UserError("--tiles changes the mAP alone; drop it or --no-accuracy")
    if not config.accuracy and (config.min_precision, config.min_recall) != (None, None):
        raise UserError("--min-precision and --min-recall need the accuracy; drop them or --no-accuracy")
    wished_rules(config.min_precision, config.min_recall, config.match_iou)
    parse_tiling(config.tiles, config.tile_overlap)
    if not 0 <= config.threads <= MOST_THREADS:
        raise UserError(f"--threads {config.threads} is not in 0..{MOST_THREADS}")
    benchmark_plan(config)


def _command(secret: str) -> str:
    """The command line as it was given, but for the secret in it."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return shlex.join(word.replace(secret, "TOKEN") if secret else word for word in words)


def _check_writable(path: Path) -> None:
    """Find out before the measurement, not after it, that its result cannot be written."""
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
