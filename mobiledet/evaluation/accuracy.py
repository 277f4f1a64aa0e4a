"""Run a loaded model file over a data set and score its detections."""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from mobiledet.data.categories import match_categories
from mobiledet.data.coco import CocoDataset, CocoImage
from mobiledet.data.config import OnBadData
from mobiledet.devices import InputMode
from mobiledet.devices.base import Session, StageTimes
from mobiledet.errors import UserError
from mobiledet.evaluation.detection_log import DetectionLog
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.result import Accuracy
from mobiledet.matching import Tolerance, compare_lists
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.spec import ModelSpec

# how alike an image must be that is run again: devices may round differently from run to run
SAME, ODD_SHARE = Tolerance(iou=0.9, score=0.05), 0.1


def measure_accuracy(
    session: Session,
    spec: ModelSpec,
    dataset: CocoDataset,
    scorer: str = "faster-coco-eval",
    on_bad_data: OnBadData = "error",
    log: DetectionLog | None = None,
    mode: InputMode = "image",
) -> Accuracy:
    """Detect in every image of a data set that has not been seen yet, with a progress bar, and score.

    Args:
        session: the loaded file.
        spec: the model's description, for its labels.
        dataset: images and where the truth is.
        scorer: one of ``metrics.coco.SCORERS``.
        on_bad_data: with ``skip`` an image that cannot be decoded or has another size than the annotations say is left
            out, of the score too.
        log: what is known already, and where the rest is added image by image.
        mode: what the device is given.

    Raises:
        UserError: an image is broken, none is left, the data set has a category that the model does not know, or the
            device finds something else in the last known image than before.
    """
    category_ids = match_categories(spec, dataset)
    if log and log.found:
        _check_known(session, spec, dataset, log)
    known = dict(log.found) if log else {}
    skipped = list(dataset.skipped)
    waiting = [image for image in dataset.images if image.id not in known]
    with _progress() as progress, closing(session.detect(image.path for image in waiting)) as frames:
        done = len(dataset.images) - len(waiting)
        name = f"images, {done} known before" if done else "images"
        task = progress.add_task(name, total=len(dataset.images), completed=done)
        for image, frame in zip(waiting, frames, strict=True):
            problem = frame.problem or image.size_problem(frame.height, frame.width, dataset.annotations)
            if frame.times is not None and not problem:
                known[image.id] = frame
                if log:
                    log.add(image.id, frame)
            elif on_bad_data == "skip":
                skipped.append(problem)
            else:
                raise UserError(f"{problem}; mend it or pass --on-bad-data skip")
            progress.advance(task)
    scored = [image for image in dataset.images if image.id in known]
    if not scored:
        raise UserError(f"no image of {dataset.images_dir} can be scored; the first problem: {skipped[0]}")

    evaluator = CocoEvaluator(dataset.annotations, category_ids, [image.id for image in scored])
    for image in scored:
        evaluator.add(image.id, known[image.id].detections)
    times = [frame.times for frame in map(known.__getitem__, (image.id for image in scored)) if frame.times]
    return Accuracy(
        metrics=evaluator.score(scorer),
        dataset=dataset.name,
        annotations=str(dataset.annotations),
        images_sha256=images_sha256(scored, dataset.annotations),
        mode=mode,
        skipped=tuple(skipped),
        scorer=scorer,
        stages={stage.name: LatencyStats.of([getattr(t, stage.name) for t in times]) for stage in fields(StageTimes)},
    )


def images_sha256(images: Sequence[CocoImage], annotations: Path) -> str:
    """Of the annotation file and the list of images: what was scored on the same ones may be compared."""
    with annotations.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update("".join(f"{image.id} {image.path.name}\n" for image in images).encode())
    return digest.hexdigest()


def _check_known(session: Session, spec: ModelSpec, dataset: CocoDataset, log: DetectionLog) -> None:
    """Run the last known image again: a device that had broken before it was interrupted is found out."""
    last = next(reversed(log.found))
    image = next(image for image in dataset.images if image.id == last)
    (again,) = session.detect([image.path])
    before = log.found[last].detections
    compared = compare_lists(before, again.detections, spec.nms.score, spec.nms, SAME)
    odd = len(compared.missing.unexplained) + len(compared.invented.unexplained)
    if again.problem or odd > ODD_SHARE * len(before):
        raise UserError(
            f"{log.path} holds other detections of {image.path.name} than the device finds now ({odd} of {len(before)} "
            "differ), so none of it can be trusted; pass --fresh to start anew"
        )


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f} images/s")


def _progress() -> Progress:
    """A bar with the rate and the time to go, on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
