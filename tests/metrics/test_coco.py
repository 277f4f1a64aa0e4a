"""The evaluator against pycocotools used the way its own demo does: files in, loadRes, summarize."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.metrics.coco import NUMBERS, SCORERS, CocoEvaluator, CocoMetrics
from mobiledet.truth import ImageId, Truth

CATEGORY_IDS = (3, 7, 8, 90)  # not contiguous, and 90 has no object
SIDE = 400.0


def _boxes_xywh(rng: np.random.Generator, count: int) -> np.ndarray:
    sides = np.exp(rng.uniform(np.log(8), np.log(250), (count, 2)))
    corners = rng.uniform(0, SIDE, (count, 2)) - sides / 3
    return np.column_stack([corners, sides])


def _write_set(path: Path, seed: int, images: int = 12) -> dict[str, list[dict]]:
    """Random ground truth: crowds, images without objects, ids with gaps."""
    rng = np.random.default_rng(seed)
    annotations = []
    for index in range(images):
        for box in _boxes_xywh(rng, 0 if index % 4 == 3 else int(rng.integers(1, 12))):
            annotations.append(
                {
                    "id": 5 + 3 * len(annotations),
                    "image_id": 1000 + 17 * index,
                    "category_id": int(rng.choice(CATEGORY_IDS[:3])),
                    "bbox": box.tolist(),
                    "area": float(box[2] * box[3] * rng.uniform(0.5, 1)),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
    listing = {
        "images": [
            {"id": 1000 + 17 * i, "file_name": f"{i}.jpg", "height": int(SIDE), "width": int(SIDE)}
            for i in range(images)
        ],
        "categories": [{"id": c, "name": f"class {c}"} for c in CATEGORY_IDS],
        "annotations": annotations,
    }
    path.write_text(json.dumps(listing))
    return listing


def _truth(listing: dict, image_ids: list[int]) -> dict[ImageId, Truth]:
    """The annotations of some images, as a reader gives them."""
    truth: dict[ImageId, Truth] = {}
    for image_id in image_ids:
        own = [a for a in listing["annotations"] if a["image_id"] == image_id]
        truth[image_id] = Truth(
            np.array([a["bbox"] for a in own], np.float64).reshape(-1, 4),
            np.array([a["area"] for a in own], np.float64),
            np.array([CATEGORY_IDS.index(a["category_id"]) for a in own], np.int64),
            np.array([a["iscrowd"] for a in own], np.bool_),
        )
    return truth


def _evaluator(listing: dict, image_ids: list[int]) -> CocoEvaluator:
    return CocoEvaluator([f"class {c}" for c in CATEGORY_IDS], _truth(listing, image_ids))


def _detections(listing: dict, image_id: int, rng: np.random.Generator, extra: int) -> Detections:
    """Most objects, moved a little, twice, some with a wrong class; and ``extra`` random boxes."""
    truth = [a for a in listing["annotations"] if a["image_id"] == image_id and rng.random() < 0.8]
    known = np.array([a["bbox"] for a in truth * 2]).reshape(-1, 4)
    labels = [CATEGORY_IDS.index(a["category_id"]) for a in truth * 2]
    moved = known + rng.normal(0, 0.08, known.shape) * np.tile(known[:, 2:], 2)
    boxes = np.concatenate([moved, _boxes_xywh(rng, extra)])
    boxes[:, 2:] = boxes[:, :2] + np.maximum(boxes[:, 2:], 1)
    labels = np.concatenate([np.array(labels, int), rng.integers(0, 4, extra)])
    labels = np.where(rng.random(len(labels)) < 0.1, rng.integers(0, 4, len(labels)), labels)
    scores = np.round(rng.random(len(boxes)), 2)  # rounded, so that scores tie
    order = np.argsort(-scores, kind="stable")
    return Detections(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order])


def _judge(annotations: Path, detections: dict[int, Detections], image_ids: list[int]) -> np.ndarray:
    """COCO's numbers by pycocotools alone."""
    rows = [
        {
            "image_id": image_id,
            "category_id": CATEGORY_IDS[label],
            "bbox": [*map(float, box[:2]), float(box[2]) - float(box[0]), float(box[3]) - float(box[1])],
            "score": float(score),
        }
        for image_id, found in detections.items()
        for box, score, label in zip(found.boxes_xyxy, found.scores, found.labels, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
        evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def _numbers(metrics: CocoMetrics) -> np.ndarray:
    return np.array([getattr(metrics, name) for name in NUMBERS])


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(("seed", "extra"), [(0, 3), (1, 20), (2, 0), (3, 300), (4, 120)])
def test_numbers_are_those_of_pycocotools(
    tmp_path: Path, capsys: pytest.CaptureFixture, scorer: str, seed: int, extra: int
) -> None:
    path = tmp_path / "instances.json"
    listing = _write_set(path, seed)
    assert any(a["iscrowd"] for a in listing["annotations"])
    image_ids = [image["id"] for image in listing["images"]][1:]
    rng = np.random.default_rng(seed + 100)
    found = {image_id: _detections(listing, image_id, rng, extra) for image_id in image_ids[:-1]}

    evaluator = _evaluator(listing, image_ids)
    for image_id, detections in found.items():
        evaluator.add(image_id, detections)
    metrics = evaluator.score(scorer)

    expected = _judge(path, found, image_ids)
    assert 0.01 < expected[0] < 0.95
    np.testing.assert_allclose(_numbers(metrics), expected, rtol=0, atol=1e-12)
    assert metrics.images == len(image_ids)
    assert metrics.detections == sum(map(len, found.values()))
    assert capsys.readouterr() == ("", "")


def test_scorers_agree_on_each_class(tmp_path: Path) -> None:
    listing = _write_set(tmp_path / "instances.json", seed=7)
    image_ids = [image["id"] for image in listing["images"]]
    evaluator = _evaluator(listing, image_ids)
    rng = np.random.default_rng(8)
    for image_id in image_ids:
        evaluator.add(image_id, _detections(listing, image_id, rng, 5))
    fast, *others = (evaluator.score(scorer) for scorer in SCORERS)
    for slow in others:
        np.testing.assert_allclose(_numbers(fast), _numbers(slow), rtol=0, atol=1e-12)
        assert fast.per_class == pytest.approx(slow.per_class, abs=1e-12)
    assert list(fast.per_class) == ["class 3", "class 7", "class 8", "class 90"]
    assert fast.per_class["class 90"] == -1
    present = [ap for ap in fast.per_class.values() if ap > -1]
    assert np.mean(present) == pytest.approx(fast.AP, abs=1e-12)


@pytest.mark.parametrize("scorer", SCORERS)
def test_areas_below_the_curves_are_the_numbers(tmp_path: Path, scorer: str) -> None:
    listing = _write_set(tmp_path / "instances.json", seed=11)
    image_ids = [image["id"] for image in listing["images"]]
    evaluator = _evaluator(listing, image_ids)
    rng = np.random.default_rng(12)
    for image_id in image_ids:
        evaluator.add(image_id, _detections(listing, image_id, rng, 20))
    metrics, curves = evaluator.score_with_curves(scorer)
    assert metrics == evaluator.score(scorer)
    assert curves.labels == tuple(metrics.per_class)
    assert curves.precision.shape == (10, 101, 4)
    np.testing.assert_allclose(curves.recall, np.linspace(0, 1, 101))
    assert np.nanmean(curves.precision) == pytest.approx(metrics.AP, abs=1e-12)
    assert np.nanmean(curves.at(0.5)) == pytest.approx(metrics.AP50, abs=1e-12)
    assert np.nanmean(curves.at(0.75)) == pytest.approx(metrics.AP75, abs=1e-12)
    assert np.isnan(curves.precision[:, :, 3]).all()
    for index, name in enumerate(curves.labels[:3]):
        assert curves.precision[:, :, index].mean() == pytest.approx(metrics.per_class[name], abs=1e-12)
    assert (np.diff(curves.precision[:, :, :3], axis=1) <= 0).all()
    counts = [sum(a["category_id"] == c and not a["iscrowd"] for a in listing["annotations"]) for c in CATEGORY_IDS]
    assert curves.objects == tuple(counts)


@pytest.mark.parametrize("scorer", SCORERS)
def test_perfect_detections_score_one(tmp_path: Path, scorer: str) -> None:
    listing = _write_set(tmp_path / "instances.json", seed=5)
    image_ids = [image["id"] for image in listing["images"]]
    evaluator = _evaluator(listing, image_ids)
    for image_id in image_ids:
        truth = [a for a in listing["annotations"] if a["image_id"] == image_id and not a["iscrowd"]]
        boxes = np.array([a["bbox"] for a in truth], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([CATEGORY_IDS.index(a["category_id"]) for a in truth], np.int64)
        evaluator.add(image_id, Detections(boxes, np.full(len(truth), 0.9, np.float32), labels))
    metrics = evaluator.score(scorer)
    assert abs(metrics.AP - 1) < 1e-12
    assert abs(metrics.AR100 - 1) < 1e-12


@pytest.mark.parametrize("scorer", SCORERS)
def test_no_detection_scores_zero(tmp_path: Path, scorer: str) -> None:
    listing = _write_set(tmp_path / "instances.json", seed=6)
    evaluator = _evaluator(listing, [i["id"] for i in listing["images"]])
    evaluator.add(1000, Detections.empty())
    metrics = evaluator.score(scorer)
    np.testing.assert_array_equal(_numbers(metrics), np.zeros(12))
    assert metrics.detections == 0


@pytest.mark.parametrize("scorer", SCORERS)
def test_labels_that_the_data_set_lacks_are_dropped(tmp_path: Path, scorer: str) -> None:
    listing = _write_set(tmp_path / "instances.json", seed=9)
    image_ids = [image["id"] for image in listing["images"]]
    rng = np.random.default_rng(1)
    found = {image_id: _detections(listing, image_id, rng, 5) for image_id in image_ids}
    scores = []
    names = [f"class {c}" for c in CATEGORY_IDS]
    for shift in (0, 2):
        label_of = [*[None] * shift, *range(4)]
        evaluator = CocoEvaluator([*"ab"[:shift], *names], _truth(listing, image_ids), label_of)
        for image_id, d in found.items():
            stray = (
                np.tile(d.boxes_xyxy, (shift, 1)),
                np.tile(d.scores, shift),
                np.arange(shift * len(d)) % max(shift, 1),
            )
            evaluator.add(
                image_id,
                Detections(
                    np.concatenate([d.boxes_xyxy, stray[0]]),
                    np.concatenate([d.scores, stray[1]]),
                    np.concatenate([d.labels + shift, stray[2]]),
                ),
            )
        scores.append(evaluator.score(scorer))
    assert scores[0].AP > 0.05
    assert scores[0] == scores[1]


BOX = Truth(np.array([[10.0, 20, 30, 40]]), np.array([1200.0]), np.zeros(1, np.int64), np.zeros(1, np.bool_))
FOUND = Detections(np.array([[10, 20, 40, 60]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(
    "ids", [(0, -5), (2**63 - 1, 2**63), (2**127 + 1, 2**127 + 2), ("a", "é"), (7, "7"), ("", "x" * 300)]
)
def test_images_may_have_any_ids(scorer: str, ids: tuple[ImageId, ImageId]) -> None:
    evaluator = CocoEvaluator(["thing"], {ids[0]: BOX, ids[1]: BOX})
    for image_id in ids:
        evaluator.add(image_id, FOUND)
    metrics = evaluator.score(scorer)
    assert abs(metrics.AP - 1) < 1e-12
    assert abs(metrics.APm - 1) < 1e-12
    assert metrics.APs == -1


def test_score_does_not_depend_on_ids_and_order_of_classes(tmp_path: Path) -> None:
    """To the last bit, as the same data in another format must score."""
    listing = _write_set(tmp_path / "instances.json", seed=13)
    image_ids = [image["id"] for image in listing["images"]]
    rng = np.random.default_rng(3)
    found = {image_id: _detections(listing, image_id, rng, 20) for image_id in image_ids}
    names = [f"class {c}" for c in CATEGORY_IDS]
    truth = _truth(listing, image_ids)
    turned = [3, 2, 1, 0]
    scores = []
    for text_ids in (False, True):
        items = [(f"{image_id:09}" if text_ids else image_id, objects) for image_id, objects in truth.items()]
        if text_ids:
            items = [(key, dataclasses.replace(o, labels=np.array(turned)[o.labels])) for key, o in reversed(items)]
        evaluator = CocoEvaluator(names, dict(items), turned if text_ids else None)
        for image_id in image_ids:
            evaluator.add(f"{image_id:09}" if text_ids else image_id, found[image_id])
        scores.append(evaluator.score())
    assert scores[0] == scores[1]


def _anything(rng: np.random.Generator) -> tuple[int, dict[ImageId, Truth], dict[ImageId, Detections]]:
    """A data set as odd as they come: few or an LVIS of classes, empty images, crowds, boxes of no area, boxes on a
    grid and rounded scores, so that overlaps and scores tie, and more detections than count."""
    classes, images = int(rng.choice([1, 3, 40, 1203])), int(rng.integers(1, 15))
    most_objects, most_found = int(rng.choice([1, 5, 30])), int(rng.choice([0, 3, 50, 300]))
    step = rng.choice([1e-9, 8])
    truth: dict[ImageId, Truth] = {}
    found: dict[ImageId, Detections] = {}
    for image in range(images):
        count = int(rng.integers(0, most_objects + 1)) if rng.random() < 0.8 else 0
        boxes = np.round(_boxes_xywh(rng, count) / step) * step
        labels = rng.integers(0, classes, count)
        areas = boxes[:, 2] * boxes[:, 3] * rng.choice([0.5, 1], count)
        truth[image] = Truth(boxes, areas, labels, rng.random(count) < 0.15)
        extra = int(rng.integers(0, most_found + 1))
        near = rng.integers(0, count, extra) if count else np.zeros(0, np.int64)
        moved = boxes[near] + rng.normal(0, 0.1, (len(near), 4)) * np.tile(boxes[near][:, 2:], 2)
        moved[:, 2:] = np.maximum(moved[:, 2:], 0)
        stray = _boxes_xywh(rng, extra - len(near))
        corners = np.round(np.concatenate([moved, stray]) / step) * step
        corners[:, 2:] += corners[:, :2]
        kinds = np.concatenate([labels[near], rng.integers(0, classes, len(stray))])
        kinds = np.where(rng.random(extra) < 0.1, rng.integers(0, classes, extra), kinds)
        scores = np.round(rng.random(extra), int(rng.integers(0, 4)))
        found[image] = Detections(corners.astype(np.float32), scores.astype(np.float32), kinds)
    return classes, truth, found


@pytest.mark.parametrize("seed", [*range(12), *(pytest.param(s, marks=pytest.mark.exhaustive) for s in range(12, 300))])
def test_the_default_scorer_agrees_with_the_judge_on_whatever_comes(seed: int) -> None:
    """Bit for bit, in the twelve numbers, in every class and in every point of the curves."""
    classes, truth, found = _anything(np.random.default_rng(seed))
    evaluator = CocoEvaluator([f"class {c}" for c in range(classes)], truth)
    for image_id, detections in found.items():
        evaluator.add(image_id, detections)
    (ours, curves), (judged, judges_curves) = (evaluator.score_with_curves(s) for s in (SCORERS[0], "pycocotools"))
    assert ours == judged
    np.testing.assert_array_equal(curves.precision, judges_curves.precision)
    assert curves.objects == judges_curves.objects


@pytest.mark.parametrize("broken", ["score", "box"])
def test_what_is_no_number_is_refused(broken: str) -> None:
    evaluator = CocoEvaluator(["thing"], {"the image": BOX})
    boxes, scores = FOUND.boxes_xyxy.copy(), FOUND.scores.copy()
    (scores if broken == "score" else boxes[0])[-1:] = np.nan
    with pytest.raises(UserError, match=r"image the image: .* NaN"):
        evaluator.add("the image", Detections(boxes, scores, FOUND.labels))


def test_without_a_box_there_is_no_score() -> None:
    crowd = dataclasses.replace(BOX, is_crowd=np.ones(1, np.bool_))
    evaluator = CocoEvaluator(["thing"], {1: crowd})
    evaluator.add(1, FOUND)
    assert not evaluator.score().has_score


def test_misuse() -> None:
    evaluator = CocoEvaluator(["thing"], {1000: BOX})
    evaluator.add(1000, Detections.empty())
    with pytest.raises(ValueError, match="1000"):
        evaluator.add(1000, Detections.empty())
    with pytest.raises(ValueError, match="1017"):
        evaluator.add(1017, Detections.empty())
    with pytest.raises(UserError, match="unknown scorer 'pycoco'; did you mean pycocotools"):
        evaluator.score("pycoco")
