"""The built-in data set: synthetic images of shapes in COCO's folder layout, the same bytes for the same seed."""

import json
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track

from mobiledet.data.config import ShapesConfig
from mobiledet.data.resize import use_one_thread
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_folder
from mobiledet.files.cache import cache_folder
from mobiledet.processes.cores import usable_cores
from mobiledet.spec import read_json

if TYPE_CHECKING:
    from mobiledet.data.shape_drawing import VisibleObject

VERSION = 1  # of the drawing code; part of the cache's name

# Not contiguous, like COCO's ids, so that code that confuses ids with labels fails on this data set, too.
CATEGORIES = {"circle": 1, "square": 2, "triangle": 4, "star": 7, "ring": 8, "cross": 11}
SEED_STREAMS = {"train": 0, "val": 1}
JPEG_QUALITY = 90
CHUNK = 16  # images per task of a process

Scene = tuple[int, int, "list[VisibleObject]"]  # height, width, objects


def run(config: ShapesConfig) -> None:
    """The command ``mobiledet shapes``."""
    write_shapes(config.out, config.train, config.val, config.seed, config.overwrite)
    print(f"{config.out}: {config.train} training and {config.val} validation images")


def shapes_folder(train: int = 2000, val: int = 200, seed: int = 0) -> Path:
    """The folder of the built-in data set in ``cache_folder()``; it is written on first use."""
    folder = cache_folder() / f"shapes-{VERSION}-{seed}-{train}-{val}"
    if not folder.is_dir():
        write_shapes(folder, train, val, seed, overwrite=True)
    return folder


def write_shapes(out: Path, train: int, val: int, seed: int = 0, overwrite: bool = False, workers: int = 0) -> None:
    """Write ``annotations/instances_{train,val}2017.json`` and ``{train,val}2017/*.jpg`` under ``out``.

    Args:
        out: the folder to make; on failure nothing is left behind.
        train: number of training images.
        val: number of validation images, from a separate random stream.
        seed: not negative. Files do not depend on ``workers``.
        overwrite: replace a folder that this function wrote before, or an empty one.
        workers: number of processes; 0 starts one per core.

    Raises:
        UserError: a number is negative, ``out`` exists already, holds something else or cannot be written.
    """
    for name, value in (("train", train), ("val", val), ("seed", seed), ("workers", workers)):
        if value < 0:
            raise UserError(f"shapes: {name} is {value}; it must not be negative")
    if overwrite and out.exists() and not _may_be_replaced(out):
        raise UserError(f"{out} was not written by mobiledet shapes, so it is not overwritten; choose another name")
    with atomic_folder(out, overwrite) as folder, ExitStack() as stack:
        (folder / "annotations").mkdir()
        tasks = []
        for split, count in (("train", train), ("val", val)):
            (folder / f"{split}2017").mkdir()
            tasks += [(split, index) for index in range(count)]
        write = partial(_write_image, folder, seed)
        scenes: Iterable[Scene]
        workers = min(workers or usable_cores(), math.ceil(len(tasks) / CHUNK))
        if workers <= 1:
            scenes = map(write, tasks)
        else:
            # map() starts the processes now, before the progress bar starts a thread, which a fork could disturb
            pool = stack.enter_context(ProcessPoolExecutor(workers, initializer=use_one_thread))
            scenes = pool.map(write, tasks, chunksize=CHUNK)
        drawn = iter(track(scenes, "drawing shapes", len(tasks), console=Console(stderr=True), transient=True))
        for split, count in (("train", train), ("val", val)):
            text = json.dumps(_coco(split, (next(drawn) for _ in range(count))))
            _annotations(folder, split).write_text(text, encoding="utf-8")


def _may_be_replaced(path: Path) -> bool:
    """Whether ``path`` is an empty folder or a shapes data set, so that nothing else is lost if it is replaced."""
    if not path.is_dir():
        return False
    return not any(path.iterdir()) or any(_is_shapes(path, split) for split in SEED_STREAMS)


def _is_shapes(folder: Path, split: str) -> bool:
    try:
        content = read_json(_annotations(folder, split))
    except UserError:
        return False
    info = content.get("info") if isinstance(content, dict) else None
    return isinstance(info, dict) and info.get("description") == _description(split)


def _annotations(folder: Path, split: str) -> Path:
    return folder / "annotations" / f"instances_{split}2017.json"


def _description(split: str) -> str:
    return f"mobiledet shapes, {split}"


def _file_name(index: int) -> str:
    return f"{index + 1:012d}.jpg"


def _write_image(folder: Path, seed: int, task: tuple[str, int]) -> Scene:
    import cv2  # missing in a plain install, which can read existing sets but not draw them

    from mobiledet.data.shape_drawing import draw_scene

    split, index = task
    image, objects = draw_scene(np.random.default_rng([seed, SEED_STREAMS[split], index]))
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    (folder / f"{split}2017" / _file_name(index)).write_bytes(encoded.tobytes())
    return image.shape[0], image.shape[1], objects


def _coco(split: str, scenes: Iterator[Scene]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, (height, width, objects) in enumerate(scenes):
        images.append({"id": index + 1, "file_name": _file_name(index), "width": width, "height": height, "license": 1})
        annotations += [
            {
                "id": len(annotations) + number,
                "image_id": index + 1,
                "category_id": CATEGORIES[item.name],
                "bbox": item.box,
                "area": item.area,
                "segmentation": item.polygons,
                "iscrowd": 0,
            }
            for number, item in enumerate(objects, start=1)
        ]
    return {
        "info": {"description": _description(split), "version": str(VERSION)},
        "licenses": [{"id": 1, "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name, "supercategory": "shape"} for name, i in CATEGORIES.items()],
    }
