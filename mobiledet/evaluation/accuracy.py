"""Runs a loaded model file on a data set and scores its detections."""

import dataclasses
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import fields

from mobiledet.data.categories import match_labels
from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet, LabelledImage, count_by_reason, some
from mobiledet.devices.base import Frame, Session, StageTimes
from mobiledet.devices.options import InputMode
from mobiledet.errors import UserError
from mobiledet.evaluation.analysis import analyse
from mobiledet.evaluation.detection_log import DetectionLog
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.result import Accuracy, TiledAccuracy
from mobiledet.evaluation.tiles import TiledSession
from mobiledet.matching import Tolerance, compare_lists
from mobiledet.metrics.scoring import collect, evaluator_of, require_boxes
from mobiledet.metrics.thresholds import Rule
from mobiledet.progress import counting_bar
from mobiledet.spec import ModelSpec

# tolerance for an image that is run again: devices may round differently from run to run
SAME, ODD_SHARE = Tolerance(iou=0.9, score=0.05), 0.1
LATENCY_ONLY = "--no-accuracy to measure latency alone"


def measure_accuracy(
    session: Session,
    spec: ModelSpec,
    dataset: DetectionSet,
    scorer: str = "hotcoco",
    on_bad_data: OnBadData = "error",
    log: DetectionLog | None = None,
    mode: InputMode = "image",
    quiet: bool = False,
    timed: bool = True,
    rules: Sequence[Rule] = (Rule(),),
    match_iou: float = 0.5,
) -> Accuracy:
    """Run the model on every image that has not been processed yet, with a progress bar, and score all.

    Args:
        session: the loaded file; with a ``TiledSession`` the whole images are also scored alone.
        spec: spec of the model, for its labels.
        dataset: the images and the ground truth.
        scorer: one of ``metrics.coco.SCORERS``.
        on_bad_data: with ``skip``, an image that cannot be decoded or whose size differs from the annotations is left
            out, of the score too.
        log: detections of an earlier run; new ones are added image by image.
        mode: what the device is given, files or tensors.
        quiet: show no progress bar.
        timed: whether the times that the device reports are meaningful.
        rules: rules for the choice of thresholds, the best F1 first.
        match_iou: IoU from which on a detection matches an object, for the thresholds and errors.

    Raises:
        UserError: an image is damaged, no image is left, the data set has no box or a class that the model does not
            know, or the device gives other detections for the last logged image than before.
    """
    label_of = match_labels(spec, dataset)
    require_boxes(dataset, LATENCY_ONLY)
    if log and log.found:
        _check_known(session, spec, dataset, log)
    known = dict(log.found) if log else {}
    waiting = [image for image in dataset.images if image.id not in known]
    with counting_bar(quiet) as progress, closing(_detect(session, waiting, dataset)) as frames:
        done = len(dataset.images) - len(waiting)
        name = f"images, {done} done before" if done else "images"
        task = progress.add_task(name, total=len(dataset.images), completed=done)
        new, bad = collect(
            frames,
            on_bad_data,
            lambda image, frame: log.add(image.id, frame) if log else None,
            lambda: progress.advance(task),
        )
    left_out = [*dataset.left_out, *bad]
    known |= new
    scored = [image for image in dataset.images if image.id in known]
    if not scored:
        raise UserError(f"no image of {dataset.images_dir} can be scored; the first problem: {left_out[0].text}")

    frames_of = {image.id: known[image.id] for image in scored}
    found = list(frames_of.values())
    detections = {image_id: frame.detections for image_id, frame in frames_of.items()}
    evaluator = evaluator_of(spec.labels, dataset, detections, label_of)
    tiles = None
    if isinstance(session, TiledSession):
        cut, whole = session.tiling, {key: frame.whole for key, frame in frames_of.items() if frame.whole}
        runs = 1 + sum(len(cut.slices(frame.height, frame.width)) for frame in found) / len(found)
        of_whole = {key: frame.detections for key, frame in whole.items()}
        whole_metrics = evaluator_of(spec.labels, dataset, of_whole, label_of).score(scorer)
        stages = _stages(list(whole.values()), timed)
        tiles = TiledAccuracy(cut.height, cut.width, cut.overlap, runs, whole_metrics, stages)
    return Accuracy(
        metrics=evaluator.score(scorer),
        dataset=dataset.name,
        annotations=str(dataset.annotations),
        images_sha256=dataclasses.replace(dataset, images=tuple(scored)).sha256(),
        mode=mode,
        skipped=tuple(entry.text for entry in left_out),
        skipped_by_reason=count_by_reason(left_out),
        notes=_notes(spec, dataset, label_of),
        scorer=scorer,
        stages=_stages(found, timed),
        tiles=tiles,
        analysis=analyse(
            spec.labels,
            {image.id: image.truth for image in scored},
            detections,
            label_of,
            evaluator,
            {image.id: image.path.name for image in scored},
            rules,
            match_iou,
        ),
    )


def _stages(frames: Sequence[Frame], timed: bool) -> dict[str, LatencyStats]:
    if not timed:
        return {}
    times = [frame.times for frame in frames if frame.times]
    return {stage.name: LatencyStats.of([getattr(t, stage.name) for t in times]) for stage in fields(StageTimes)}


def _detect(
    session: Session, images: Sequence[LabelledImage], dataset: DetectionSet
) -> Generator[tuple[LabelledImage, Frame, str], None, None]:
    """Each image with its frame and a description of its problem, if any; images that are rotated by EXIF come last."""
    for apply_orientation in (False, True):
        group = [image for image in images if image.apply_orientation == apply_orientation]
        if group:
            with closing(session.detect((image.path for image in group), apply_orientation)) as frames:
                for image, frame in zip(group, frames, strict=True):
                    problem = frame.problem or image.size_problem(frame.height, frame.width, dataset.annotations)
                    yield image, frame, problem


def _notes(spec: ModelSpec, dataset: DetectionSet, label_of: Sequence[int | None]) -> tuple[str, ...]:
    """Notes for the reader of the score: those of the data set, and classes without an AP."""
    missing = [
        name for name, place in zip(spec.labels, label_of, strict=True) if place is None or not dataset.objects[place]
    ]
    if not missing:
        return dataset.notes
    return (*dataset.notes, f"{len(missing)} of {len(spec.labels)} classes have no box and no AP here: {some(missing)}")


def _check_known(session: Session, spec: ModelSpec, dataset: DetectionSet, log: DetectionLog) -> None:
    """Run the last logged image again, to detect a device that was faulty before the interruption."""
    last = next(reversed(log.found))
    image = next(image for image in dataset.images if image.id == last)  # the log contains only these images
    (again,) = session.detect([image.path], image.apply_orientation)
    before = log.found[last].detections
    compared = compare_lists(before, again.detections, spec.nms.score, spec.nms, SAME)
    odd = len(compared.missing.unexplained) + len(compared.extra.unexplained)
    if again.problem or odd > ODD_SHARE * len(before):
        raise UserError(
            f"{log.path} has other detections for {image.path.name} than the device gives now ({odd} of {len(before)} "
            "differ), so it cannot be trusted; pass --fresh to start again"
        )
