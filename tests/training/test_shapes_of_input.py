"""Inputs that are no squares and letterboxes, from the settings to the score of a network in training."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mobiledet.checkpoint import load_detector
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.loader import build_loader
from mobiledet.data.read import load_split
from mobiledet.data.shapes import write_shapes
from mobiledet.data.summary import shorter_sides
from mobiledet.detectors import ImageDetections
from mobiledet.errors import UserError
from mobiledet.placement import Placement
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train
from mobiledet.training.setup import make_spec
from mobiledet.training.validation import validate

SIZE = InputSpec(96, 160, resize="letterbox")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide and tall pictures of shapes."""
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_shapes(folder, train=8, val=8, seed=2, workers=1)
    return folder


@pytest.fixture(scope="module")
def rectangles(tmp_path_factory: pytest.TempPathFactory) -> DetectionSet:
    """A white rectangle in pictures that are wide, tall, as wide as the input and square."""
    folder = tmp_path_factory.mktemp("data") / "rectangles"
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images, annotations = [], []
    for index, (height, width) in enumerate([(120, 400), (400, 120), (192, 320), (200, 200)]):
        x, y, wide, tall = width * 0.55, height * 0.1, width * 0.35, height * 0.6
        picture = np.zeros((height, width, 3), np.uint8)
        picture[round(y) : round(y + tall), round(x) : round(x + wide)] = 255
        Image.fromarray(picture).save(folder / "val2017" / f"{index}.png")
        images.append({"id": index, "file_name": f"{index}.png", "width": width, "height": height})
        box = {"bbox": [x, y, wide, tall], "area": wide * tall, "iscrowd": 0}
        annotations.append({"id": index + 1, "image_id": index, "category_id": 1, **box})
    listing = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "rectangle"}]}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(listing))
    return load_split(folder, "val")


def test_one_step_on_a_wide_letterbox(scenes: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        data=str(scenes),
        backbone="shufflenet_v2_0.5x",
        detector="ssdlite_fpn",
        image_size="96x160",
        resize="letterbox",
        letterbox_fill="black",
        letterbox_place="top-left",
        epochs=1,
        batch_size=8,
        workers=0,
        accelerator="cpu",
        out=tmp_path / "run",
    )
    result = train(config, quiet=True)
    detector, spec = load_detector(result.best)
    assert dataclasses.replace(spec.input, mean=SIZE.mean, std=SIZE.std) == InputSpec(
        96, 160, resize="letterbox", padding="black", placement="top-left"
    )
    assert spec.name.endswith("-96x160")
    anchors = detector.anchors_xyxy
    centres = ((anchors[:, :2] + anchors[:, 2:]) / 2).round().to(torch.int64)
    finest = [torch.unique(centres[: 12 * 20, axis]).tolist() for axis in (0, 1)]  # an anchor a cell of stride 8
    assert finest == [list(range(4, 160, 8)), list(range(4, 96, 8))]


class BrightBoxes:
    """A double of a detector: it finds the bright rectangle in its input, which tells where a picture lies there."""

    training = False

    def eval(self) -> None: ...

    def train(self, mode: bool) -> None: ...

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def postprocess(self, images: torch.Tensor, nms: object) -> list[ImageDetections]:
        found = []
        for image in images:
            bright = image.amin(dim=0) > 0.5
            rows, columns = (torch.nonzero(bright.any(dim=axis)).flatten() for axis in (1, 0))
            box = torch.stack((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)).float()
            found.append(ImageDetections(box[None], torch.ones(1), torch.zeros(1, dtype=torch.int64)))
        return found


@pytest.mark.parametrize("place", ["centre", "top-left"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_validation_finds_objects_where_they_are(rectangles: DetectionSet, resize: Any, place: Any) -> None:
    size = InputSpec(96, 160, mean=(0, 0, 0), std=(255, 255, 255), resize=resize, placement=place)
    spec = ModelSpec("bright", "none", "none", size, rectangles.labels, rectangles.category_ids)
    loader = build_loader(rectangles, 4, transform=None, spec=size, shuffle=False, workers=0)
    (batch,) = loader
    found = validate(BrightBoxes(), spec, rectangles, loader, torch.device("cpu"))  # type: ignore[arg-type]
    for image, boxes in zip(rectangles.images, batch.boxes, strict=True):
        ours = found.detections[image.id].boxes_xyxy
        pixel = max(image.height / 96, image.width / 160) if resize == "letterbox" else 4.2
        np.testing.assert_allclose(ours, image.boxes_xyxy, atol=1.5 * pixel)
        np.testing.assert_allclose(Placement.of(image.height, image.width, size).to_input(ours), boxes[:1], atol=1.5)
    assert found.metrics.AP50 == 1


def test_sizes_and_anchors_are_those_in_the_letterbox(rectangles: DetectionSet) -> None:
    sides = shorter_sides(rectangles, SIZE)
    scales = np.array([160 / 400, 96 / 400, 0.5, 96 / 200])
    expected = scales * [120 * 0.6, 120 * 0.35, 320 * 0.35, 200 * 0.35]
    np.testing.assert_allclose(sides, expected, rtol=0.02)
    assert shorter_sides(rectangles, InputSpec(96, 160))[3] == pytest.approx(200 * 0.6 * 96 / 200, rel=0.03)
    config = TrainConfig(data="unused", detector="ssdlite_fpn", image_size="96x160", resize="letterbox", anchors="fit")
    stretched = dataclasses.replace(config, resize="stretch")
    options = [make_spec(each, rectangles).detector_options.to_json()["anchors"] for each in (config, stretched)]
    widest = [np.concatenate([np.asarray(level) for level in fitted])[:, 0].max() for fitted in options]
    assert widest[0] <= widest[1]
    assert options[0] != options[1]


def test_a_fill_without_a_letterbox_is_refused(rectangles: DetectionSet) -> None:
    for option in ({"letterbox_fill": "black"}, {"letterbox_place": "top-left"}):
        with pytest.raises(UserError, match=r"--letterbox-\w+ [a-z-]+ needs --resize letterbox"):
            make_spec(TrainConfig(**option), rectangles)  # type: ignore[arg-type]
