"""The matching, and precision from it, against pycocotools, for images once and for resampled ones."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobiledet.detections import Detections
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.metrics.matches import IOUS, Matches, match_detections
from mobiledet.metrics.resampled import average_precision, mean_average_precision, score_counts
from mobiledet.truth import ImageId, Truth

CLASSES = 5
Set = tuple[dict[ImageId, Truth], dict[ImageId, Detections]]


def _boxes_xywh(rng: np.random.Generator, count: int) -> np.ndarray:
    # on a coarse grid, so that overlaps tie and meet thresholds exactly
    return np.column_stack([rng.integers(0, 12, (count, 2)), rng.integers(1, 9, (count, 2))]).astype(np.float64)


def _random_set(seed: int, images: int = 9, most: int = 14, levels: int = 6) -> Set:
    """Crowds, huge objects, empty pictures, a class without objects, scores that tie, in one image and over many."""
    rng = np.random.default_rng(seed)
    truth: dict[ImageId, Truth] = {}
    found: dict[ImageId, Detections] = {}
    for index in rng.permutation(images).tolist():
        count = 0 if index % 4 == 1 else int(rng.integers(1, most))
        boxes = _boxes_xywh(rng, count)
        areas = np.where(rng.random(count) < 0.1, 2e10, boxes[:, 2] * boxes[:, 3])
        labels = rng.integers(0, CLASSES - 1, count)
        truth[7 * index] = Truth(boxes, areas, labels, rng.random(count) < 0.2)
        if index % 5 == 2:
            continue
        extra = int(rng.integers(0, 3 * most))
        near = np.concatenate([boxes, boxes, _boxes_xywh(rng, extra)])
        near[:, 2:] = near[:, :2] + np.maximum(near[:, 2:] + rng.integers(-1, 2, (len(near), 2)), 0)
        own = np.concatenate([labels, labels, rng.integers(0, CLASSES, extra)])
        scores = rng.integers(1, levels + 1, len(near)) / levels
        found[7 * index] = Detections(near.astype(np.float32), scores.astype(np.float32), own)
    return truth, found


def _judge(truth: dict, found: dict, images: list) -> np.ndarray:
    """AP of each threshold and class, by pycocotools, of a list of images, in which one may stand more than once."""
    annotations, rows = [], []
    for image, source in enumerate(images, start=1):
        objects = truth[source]
        for box, area, label, crowd in zip(
            objects.boxes_xywh.tolist(), objects.areas.tolist(), objects.labels.tolist(), objects.is_crowd, strict=True
        ):
            annotations.append(
                {"id": 1 + len(annotations), "image_id": image, "category_id": label + 1}
                | {"bbox": box, "area": area, "iscrowd": int(crowd)}
            )
        boxes = found.get(source, Detections.empty())
        for (x1, y1, x2, y2), score, label in zip(
            boxes.boxes_xyxy.tolist(), boxes.scores.tolist(), boxes.labels.tolist(), strict=True
        ):
            rows.append(
                {"image_id": image, "category_id": label + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(1, len(images) + 1)],
            "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
            "annotations": annotations,
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(rows), "bbox")
        evaluation.params.areaRng, evaluation.params.maxDets = evaluation.params.areaRng[:1], [100]  # what is asked for
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    return np.where(precision[:, 0] > -1, precision.mean(axis=1), np.nan)


def _match(truth: dict, found: dict) -> Matches:
    return match_detections([str(k) for k in range(CLASSES)], truth, found)


@pytest.mark.parametrize("seed", range(12))
def test_precision_is_that_of_pycocotools(seed: int) -> None:
    truth, found = _random_set(seed)
    matches = _match(truth, found)
    ap = average_precision(matches)[0]
    expected = _judge(truth, found, sorted(truth))
    np.testing.assert_allclose(ap, expected, rtol=0, atol=1e-12)
    assert np.isnan(ap[:, CLASSES - 1]).all()
    assert mean_average_precision(ap[None])[0] == pytest.approx(np.nanmean(expected), abs=1e-12)
    assert matches.object_ignored.any()
    assert matches.ignored.any()


@pytest.mark.parametrize("seed", range(2))
def test_more_than_100_detections_of_a_class_in_an_image(seed: int) -> None:
    truth, found = _random_set(seed, images=4, most=200, levels=40)
    matches = _match(truth, found)
    assert matches.cut > 0
    assert len(matches) + matches.cut == sum(map(len, found.values()))
    np.testing.assert_allclose(average_precision(matches)[0], _judge(truth, found, sorted(truth)), rtol=0, atol=1e-12)


def test_resampled_images_are_those_of_pycocotools() -> None:
    truth, found = _random_set(3, images=12)
    # in one image no scores tie, over images they do; see average_precision
    for image, boxes in found.items():
        scores = np.random.default_rng(image).permutation(64)[: len(boxes)] / 64
        found[image] = Detections(boxes.boxes_xyxy, scores.astype(np.float32), boxes.labels)
    matches, images = _match(truth, found), sorted(truth)
    weights = np.random.default_rng(1).multinomial(len(images), np.full(len(images), 1 / len(images)), size=20)
    weights[0] = 0
    ap = average_precision(matches, weights)
    assert np.isnan(ap[0]).all()
    assert np.isnan(mean_average_precision(ap)[0])
    for counts, of_sample in zip(weights[1:], ap[1:], strict=True):
        expected = _judge(truth, found, np.repeat(images, counts).tolist())
        np.testing.assert_allclose(of_sample, expected, rtol=0, atol=1e-12)


def test_blocks_of_resamplings_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matches = _match(*_random_set(4))
    weights = np.random.default_rng(0).integers(0, 3, (17, len(matches.image_ids)))
    whole, counts = average_precision(matches, weights), score_counts(matches, 1, 0.5, weights)
    monkeypatch.setattr("mobiledet.metrics.resampled.BLOCK_VALUES", 100)
    np.testing.assert_allclose(average_precision(matches, weights), whole, rtol=1e-12)
    np.testing.assert_array_equal(score_counts(matches, 1, 0.5, weights).true, counts.true)


def test_numbers_are_those_of_the_evaluator_with_classes_that_the_data_set_does_not_know() -> None:
    truth, found = _random_set(6)
    labels, label_of = ["a", "b", "c", "d", "e", "f"], [3, None, 2, 0, 1, None]
    found = {
        image: Detections(boxes.boxes_xyxy, boxes.scores, np.array([3, 4, 2, 0, 1])[boxes.labels])
        for image, boxes in found.items()
    }
    evaluator = CocoEvaluator(labels, truth, label_of)
    for image, boxes in found.items():
        evaluator.add(image, boxes)
    per_class = evaluator.score("pycocotools").per_class
    ap = average_precision(match_detections(labels, truth, found, label_of))[0].mean(axis=0)
    assert list(per_class) == ["a", "c", "d", "e"]
    for name, value in zip(labels, ap, strict=True):
        assert value == pytest.approx(per_class.get(name, np.nan), abs=1e-12, nan_ok=True) or per_class[name] == -1


@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_counts_at_a_score_are_those_of_the_detections_above_it(iou: float) -> None:
    truth, found = _random_set(8)
    matches = _match(truth, found)
    weights = np.random.default_rng(2).integers(0, 3, (4, len(matches.image_ids)))
    t = int(np.argmin(np.abs(IOUS - iou)))
    for label in range(CLASSES):
        counts = score_counts(matches, label, iou, weights)
        assert counts.score.tolist() == sorted(set(matches.score[matches.label == label].tolist()), reverse=True)
        for index, score in enumerate(counts.score):
            above = (matches.score >= score) & (matches.label == label)
            for sample, weight in enumerate(weights):
                assert counts.true[sample, index] == weight[matches.image[above & matches.true[t]]].sum()
                assert counts.false[sample, index] == weight[matches.image[above & matches.false[t]]].sum()
        np.testing.assert_array_equal(counts.objects, weights @ matches.objects[:, label])
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(counts.recall, counts.true / counts.objects[:, None])
            np.testing.assert_array_equal(counts.precision, counts.true / (counts.true + counts.false))


def test_rows_point_at_the_detections_that_were_given() -> None:
    truth, found = _random_set(9)
    matches = _match(truth, found)
    for image, row, label, score in zip(matches.image, matches.row, matches.label, matches.score, strict=True):
        given = found[matches.image_ids[image]]
        assert (given.labels[row], given.scores[row]) == (label, score)
    taken = matches.object[0][matches.true[0]]
    assert len(set(taken.tolist())) == len(taken)
    np.testing.assert_array_equal(matches.object_label[taken], matches.label[matches.true[0]])
    np.testing.assert_array_equal(matches.object_image[taken], matches.image[matches.true[0]])


def test_nothing_found_and_nothing_to_find() -> None:
    truth, _ = _random_set(1)
    ap = average_precision(_match(truth, {}))
    assert np.nanmax(ap) == 0
    assert np.isnan(mean_average_precision(average_precision(_match({}, {}))))
    assert score_counts(_match(truth, {}), 0).true.shape == (1, 0)
    with pytest.raises(ValueError, match="image 5 "):
        _match(truth, {5: Detections.empty()})
