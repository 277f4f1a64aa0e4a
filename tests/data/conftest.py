"""A small drawn set of shapes, and a tiny hand-made COCO folder that tests break in many ways."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet.data.shapes import write_shapes

TRAIN, VAL = 40, 12


@pytest.fixture(scope="session")
def shapes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 training and 12 validation images; tests only read it."""
    folder = tmp_path_factory.mktemp("shapes") / "set"
    write_shapes(folder, TRAIN, VAL, seed=3, workers=1)
    return folder


@dataclass
class TinyCoco:
    """A folder of three images and the content of its annotation file; ``save`` writes the file."""

    images_dir: Path
    annotations: Path
    content: dict[str, Any]

    def save(self) -> None:
        self.annotations.write_text(json.dumps(self.content))


@pytest.fixture
def tiny_coco(tmp_path: Path) -> TinyCoco:
    """Three 60 x 40 images: two boxes and a crowd on the first, one box on the second, none on the third."""
    images_dir = tmp_path / "val2017"
    (tmp_path / "annotations").mkdir()
    images_dir.mkdir()
    for name, level in (("a.jpg", 50), ("b.jpg", 120), ("c.jpg", 200)):
        Image.fromarray(np.full((40, 60, 3), level, np.uint8)).save(images_dir / name)

    def box(number: int, image: int, category: int, bbox: list[float], iscrowd: int = 0) -> dict[str, Any]:
        return {
            "id": number,
            "image_id": image,
            "category_id": category,
            "bbox": bbox,
            "area": bbox[2] * bbox[3],
            "iscrowd": iscrowd,
            "segmentation": [],
        }

    content = {
        "images": [
            {"id": 30, "file_name": "a.jpg", "width": 60, "height": 40},
            {"id": 10, "file_name": "b.jpg", "width": 60, "height": 40},
            {"id": 20, "file_name": "c.jpg", "width": 60, "height": 40},
        ],
        "annotations": [
            box(1, 10, 18, [5, 6, 20, 10]),
            box(2, 30, 1, [0, 0, 30.5, 20]),
            box(3, 30, 18, [10, 10, 40, 30], iscrowd=1),
            box(4, 30, 90, [50, 30, 10, 10]),
        ],
        # not in the order of their ids
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    tiny = TinyCoco(images_dir, tmp_path / "annotations" / "instances_val2017.json", content)
    tiny.save()
    return tiny
