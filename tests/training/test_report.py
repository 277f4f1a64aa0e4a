import dataclasses
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobiledet.data.coco import load_coco
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.loader import build_loader
from mobiledet.data.read import load_split
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.detections import Detections
from mobiledet.drawing.pictures import class_color
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec, TrainingInfo
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import CurvePoint, append_point, read_points
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.mistakes import WORST, find_mistakes
from mobiledet.training.report import PageContent, render
from mobiledet.training.samples import COUNT, draw_samples, draw_training_samples
from mobiledet.training.tensorboard import MAX_SAMPLE_SHEETS, logs_samples
from mobiledet.training.validation import Validation

Parse = Callable[[str], Any]


@pytest.fixture(scope="module")
def shapes(tiny_shapes: Path) -> DetectionSet:
    return load_split(tiny_shapes, "val")


def judged(dataset: DetectionSet, share: float) -> Validation:
    """An evaluation that found this share of the boxes, exactly."""
    evaluator = CocoEvaluator(dataset.labels, dataset.truth())
    found = {}
    for image in dataset.images:
        count = round(share * len(image.labels))
        scores = np.linspace(0.9, 0.4, count, dtype=np.float32)
        found[image.id] = Detections(image.boxes_xyxy[:count], scores, image.labels[:count])
        evaluator.add(image.id, found[image.id])
    return Validation(*evaluator.score_with_curves(), found)


def page_of(dataset: DetectionSet, validation: Validation, epochs: int = 3, notes: int = 4) -> str:
    spec = ModelSpec(
        name="x-ssdlite-64",
        backbone="x",
        detector="ssdlite",
        input=InputSpec(64, 64),
        labels=dataset.labels,
        category_ids=dataset.category_ids,
        nms=NmsSpec(),
        training=TrainingInfo(dataset=dataset.name),
    )
    points = [
        CurvePoint(e * 80 + 20 * n, e + n / notes, 20 * n, 0.01, 90.0, {"class": 2 / (e + 1), "box": 1.0})
        for e in range(epochs)
        for n in range(1, notes + 1)
    ]
    record = dataclasses.asdict(validation.metrics)
    evaluations = [{"epoch": e + 1, "time": "2026-01-02T03:04:05+0000", **record} for e in range(epochs)]
    samples = draw_samples(dataset, validation.detections)
    mistakes = find_mistakes(dataset, validation.detections)
    content = PageContent(validation, samples, mistakes, samples[:2])
    return render(TrainConfig(epochs=epochs), spec, points, evaluations, content)


def cells(text: str) -> list[list[str]]:
    """The rows of the table of classes, without the curve."""
    table = text.split('id="classes"')[1].split("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table.split("<tbody>")[1])
    return [re.findall(r"<td[^>]*>([^<]*)", row)[:5] for row in rows]


def test_page_is_well_formed_and_needs_nothing_from_outside(shapes: DetectionSet, parse: Parse) -> None:
    text = page_of(shapes, judged(shapes, 0.6))
    page = parse(text)
    assert page.open == []
    for section in ("curves", "trained", "samples", "mistakes", "recall", "classes", "settings"):
        assert page.has(section)
    assert {a["href"] for name, a in page.elements if name == "a"} == {
        f"#{a['id']}" for name, a in page.elements if name == "section" and "id" in a
    }
    assert not re.search(r"https?://|@import|url\(|nan", text.split("</style>")[1].split("base64")[0])
    for name, attributes in page.elements:
        assert name not in ("link", "iframe", "object", "base")
        assert (attributes.get("src") or "data:").startswith("data:")
    # loss has three lines, validation three, rate and speed one; precision and recall are drawn for two widths
    assert len(page.of_class("chart")) == 4 + 2
    assert len([a for n, a in page.elements if n == "polyline" and "points" in a]) == 8 + 2 * 5 + len(cells(text))
    assert len([name for name, _ in page.elements if name == "img"]) == COUNT + 2 + WORST
    assert "epoch 3 of 3; 2026-01-02 03:04" in page.text


def test_class_table_holds_the_numbers_of_the_scorer(shapes: DetectionSet) -> None:
    validation = judged(shapes, 0.6)
    rows = {row[0]: row[1:] for row in cells(page_of(shapes, validation))}
    assert rows.keys() == set(shapes.labels)
    counts = np.bincount(np.concatenate([image.labels for image in shapes.images]), minlength=len(shapes.labels))
    for index, name in enumerate(shapes.labels):
        ap = validation.metrics.per_class[name]
        shown = "–" if ap < 0 else f"{ap:.3f}"
        # what is found is exact, so that every IoU gives the same
        assert rows[name] == [str(counts[index]), shown, shown, shown]


def test_one_epoch_with_one_note(shapes: DetectionSet, parse: Parse) -> None:
    text = page_of(shapes, judged(shapes, 1.0), epochs=1, notes=1)
    page = parse(text)
    assert page.open == []
    assert len(page.of_class("dot")) == 3 + 3 + 1 + 1
    assert "1.000" in page.text


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_detections_and_all_of_them(shapes: DetectionSet, parse: Parse, share: float) -> None:
    text = page_of(shapes, judged(shapes, share))
    page = parse(text)
    assert page.has("recall")
    assert ("detected: nothing" in page.text) == (share == 0)
    assert {row[2] for row in cells(text)} <= {f"{share:.3f}", "–"}


def test_without_notes_and_without_boxes(tiny_shapes: Path, tmp_path: Path, parse: Parse) -> None:
    listing = json.loads((tiny_shapes / "annotations" / "instances_val2017.json").read_text())
    listing["annotations"] = []
    (tmp_path / "empty.json").write_text(json.dumps(listing))
    dataset = load_coco(tiny_shapes / "val2017", tmp_path / "empty.json")
    page = parse(page_of(dataset, judged(dataset, 1.0), notes=0))
    assert not page.has("recall")
    assert page.has("curves")
    assert "ground truth: nothing; detected: nothing" in page.text


def test_eighty_classes_with_long_and_hostile_names(tiny_shapes: Path, tmp_path: Path, parse: Parse) -> None:
    listing = json.loads((tiny_shapes / "annotations" / "instances_val2017.json").read_text())
    names = [f"<script>alert({index})</script> \"'&" + " and so on" * (index % 9) for index in range(80)]
    listing["categories"] = [{"id": index + 1, "name": name} for index, name in enumerate(names)]
    for index, annotation in enumerate(listing["annotations"]):
        annotation["category_id"] = index % 80 + 1
    (tmp_path / "many.json").write_text(json.dumps(listing))
    dataset = load_coco(tiny_shapes / "val2017", tmp_path / "many.json")
    text = page_of(dataset, judged(dataset, 1.0))
    page = parse(text)
    assert page.open == []
    assert [name for name, _ in page.elements].count("script") == 1  # the page's own
    assert len(cells(text)) == 80
    assert all(name in page.text for name in names)


def test_samples_show_truth_and_predictions_of_the_same_pictures(shapes: DetectionSet) -> None:
    nothing = draw_samples(shapes, judged(shapes, 0.0).detections)
    everything = draw_samples(shapes, judged(shapes, 1.0).detections)
    assert [sample.name for sample in nothing] == [sample.name for sample in everything]
    assert len({sample.name for sample in nothing}) == COUNT
    by_name = {image.path.name: image for image in shapes.images}
    for before, after in zip(nothing, everything, strict=True):
        image = by_name[before.name]
        factor = before.picture.shape[1] // image.width
        for box, label in zip(image.boxes_xyxy, image.labels, strict=True):
            x, y = (np.clip((box[:2] + box[2:]) / 2, 0, None) * factor).astype(int)
            row = before.picture[y, max(0, int(box[0] * factor) - 3) : x].astype(int)
            assert (row >= 250).all(axis=1).any()  # the white left side of the true box
            assert (after.picture == class_color(int(label))).all(axis=2).sum() > 50
        assert before.caption.endswith("detected: nothing")
        true, found = after.caption.removeprefix("ground truth: ").split("; detected: ")
        assert true == found


def test_samples_leave_out_pictures_that_could_not_be_read(shapes: DetectionSet) -> None:
    detections = dict(judged(shapes, 1.0).detections)
    gone = draw_samples(shapes, detections)[0].name
    del detections[next(image.id for image in shapes.images if image.path.name == gone)]
    assert gone not in {sample.name for sample in draw_samples(shapes, detections)}
    assert draw_samples(shapes, {}) == []


def test_mistakes_are_counted_by_class_and_told_of_the_worst_pictures(shapes: DetectionSet) -> None:
    """All boxes are found but for the first of an image; the second, moved into nothing, is one too many."""
    found = dict(judged(shapes, 1.0).detections)
    image = max(shapes.images, key=lambda image: len(image.labels))
    exact, background = found[image.id], len(shapes.labels)
    boxes = exact.boxes_xyxy.copy()
    boxes[1] = [0, 0, 2, 2]
    labels = exact.labels.copy()
    labels[2] = (labels[2] + 1) % background
    found[image.id] = Detections(boxes[1:], np.ones(len(boxes) - 1, np.float32), labels[1:])
    mistakes = find_mistakes(shapes, found)
    a, b, c = image.labels[:3].tolist()
    wrong = Counter({(a, background): 1, (b, background): 1, (background, b): 1, (c, (c + 1) % background): 1})
    wrong = Counter({**wrong, (a, background): 2} if a == b else wrong)
    assert {pair: count for pair, count in mistakes.confusion.items() if pair[0] != pair[1]} == wrong
    right = sum(count for pair, count in mistakes.confusion.items() if pair[0] == pair[1])
    assert right == sum(shapes.objects) - 3
    (worst,) = mistakes.worst
    name = shapes.labels
    assert worst.name == image.path.name
    assert f"{name[b]} found where none is" in worst.caption
    assert f"{name[c]} found as {name[(c + 1) % background]}" in worst.caption
    assert f"{name[a]} missed" in worst.caption


def test_no_mistakes_and_nothing_found(shapes: DetectionSet) -> None:
    assert find_mistakes(shapes, judged(shapes, 1.0).detections).worst == []
    blind = find_mistakes(shapes, judged(shapes, 0.0).detections)
    assert blind.confusion == {(k, len(shapes.labels)): count for k, count in enumerate(shapes.objects) if count}
    assert find_mistakes(shapes, {}).confusion == {}


def test_training_samples_are_what_the_first_batch_holds(tiny_shapes: Path) -> None:
    spec = InputSpec(480, 480)  # large enough to be drawn pixel by pixel
    loader = build_loader(
        load_split(tiny_shapes, "train"),
        8,
        transform=train_transform(spec, Augmentation()),
        spec=spec,
        shuffle=True,
        workers=0,
        seed=3,
    )
    samples = draw_training_samples(loader)
    batch = next(iter(loader))
    names = [loader.dataset.dataset.images[index].path.name for index in batch.indices.tolist()]
    assert [sample.name for sample in samples] == names[:COUNT]
    for sample, image, labels in zip(samples, batch.images, batch.labels, strict=False):
        same = (sample.picture == image.permute(1, 2, 0).numpy()).all(axis=2)
        assert same.mean() > 0.5  # but for the boxes and their names
        shown = [loader.dataset.dataset.labels[label] for label in labels.tolist() if label >= 0]
        assert (sample.caption == "nothing") == (not shown)
        assert all(name in sample.caption for name in set(shown))


def test_run_writes_its_page(trained: TrainResult, parse: Parse) -> None:
    page = parse((trained.folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "epoch 3 of 3" in page.text
    assert f"{trained.metrics.AP:.3f}" in page.text
    assert len([name for name, _ in page.elements if name == "img"]) == COUNT + COUNT + WORST
    assert len([a for a in page.of_class("line") if "points" in a]) >= 8


def test_resumed_run_draws_one_curve(trained: TrainResult, tmp_path: Path) -> None:
    """Also where the run was killed after it had noted the fourth epoch, while it wrote once more."""
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    record = json.loads((folder / "config.json").read_text())
    record["config"]["epochs"] = 4
    (folder / "config.json").write_text(json.dumps(record))
    with (folder / "curves.jsonl").open("a") as file:
        append_point(folder / "curves.jsonl", CurvePoint(12, 4.0, 3, 0.1, 50.0, {"class": 1.0, "box": 1.0}))
        file.write('{"step": 15, "ep\n')
    train(TrainConfig(resume=folder))
    assert [point.step for point in read_points(folder / "curves.jsonl")] == [3, 6, 9, 12]
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "epoch 4 of 4" in text
    lines = re.findall(r'<polyline points="([^"]*)" class="line s0"', text)
    assert [len(line.split()) for line in lines[:4]] == [4] * 4  # loss, mAP, learning rate, speed


def test_tensorboard_log_holds_pictures_and_curves(trained: TrainResult) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(trained.folder / "tensorboard"), size_guidance={"images": 0, "tensors": 0}).Reload()
    tags = log.Tags()
    assert {"validation/mAP", "validation/AP50", "validation/AP75"} <= set(tags["scalars"])
    assert sum(tag.startswith("class AP/") for tag in tags["scalars"]) == 6
    assert len(log.Images("validation/samples")) == 3
    for iou in ("0.50", "0.75"):
        (first, *_) = log.Tensors(f"precision and recall/IoU {iou}")
        assert tuple(d.size for d in first.tensor_proto.tensor_shape.dim) == (6, 101)


@pytest.mark.parametrize(("epochs", "eval_every"), [(1, 1), (7, 1), (10, 3), (300, 1), (660, 5), (1000, 1)])
def test_pictures_in_the_log_are_few_and_end_with_the_last(epochs: int, eval_every: int) -> None:
    config = TrainConfig(epochs=epochs, eval_every=eval_every)
    evaluated: Sequence[int] = [e for e in range(1, epochs + 1) if e % eval_every == 0 or e == epochs]
    pictured = [epoch for epoch in evaluated if logs_samples(config, epoch)]
    assert pictured[-1] == epochs
    assert min(len(evaluated), MAX_SAMPLE_SHEETS // 2) <= len(pictured) <= MAX_SAMPLE_SHEETS + 1
