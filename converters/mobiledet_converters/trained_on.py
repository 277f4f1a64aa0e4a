"""The training and validation images of a checkpoint's run: the lists that the checkpoint stores."""

import dataclasses
from pathlib import Path
from typing import Any

from mobiledet.checkpoint import load_checkpoint
from mobiledet.data.coco import load_coco
from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.images import list_images
from mobiledet.data.read import BUILT_IN, load_split
from mobiledet.data.record import DataRecord, ImageFileList
from mobiledet.errors import UserError
from mobiledet.spec import read_json

# defaults of the options by which a run reads its data, for checkpoints that do not store them
DEFAULTS = {
    "data": None,
    "train_images": None,
    "train_annotations": None,
    "val_images": None,
    "val_annotations": None,
    "exif": "auto",
    **dataclasses.asdict(DataOptions()),
}


def trained_on(checkpoint: Path) -> DataRecord | None:
    """The record in a checkpoint; for an older one, reconstructed from the config.json beside it; None without either.

    Raises:
        UserError: there is a checkpoint, but it cannot be read.
    """
    values = load_checkpoint(checkpoint).data if checkpoint.is_file() else None
    if values is not None:
        record = DataRecord.from_json(values, checkpoint)
        return dataclasses.replace(record, options={**DEFAULTS, **record.options})
    try:
        run = dict(read_json(checkpoint.parent / "config.json")["config"])
    except (UserError, KeyError, TypeError, ValueError):
        return None
    options = {name: run.get(name, default) for name, default in DEFAULTS.items()}
    return DataRecord(options, _listed(options, "train"), _listed(options, "val"))


def _listed(options: dict[str, Any], role: str) -> ImageFileList:
    """The images of a part that still exists; else none, and none of the built-in set, which is generated again."""
    images, annotations = options[f"{role}_images"], options[f"{role}_annotations"]
    files: list[Path] = []
    try:
        if images and not annotations:
            files = list_images(Path(images))
        elif images or options["data"] != BUILT_IN:
            dataset = load_part(options, role)
            return ImageFileList.of(dataset, dataset.images_dir)
    except (UserError, TypeError):
        files = []
    return ImageFileList(role, "", tuple(str(path.absolute()) for path in files), (), (), "")


def load_part(options: dict[str, Any], role: str, data: str | None = None) -> DetectionSet:
    """One part of the set of a run, read as the run read it.

    Args:
        options: ``DataRecord.options``.
        role: ``train`` or ``val``.
        data: the folder of the data set if it was moved.

    Raises:
        UserError: the data set does not exist any more, or its data is bad.
    """
    images, annotations = options[f"{role}_images"], options[f"{role}_annotations"]
    if images and annotations and data is None:
        return load_coco(Path(images), Path(annotations), options["on_bad_data"], options["exif"])
    folder = data or options["data"]
    if not folder:
        raise UserError("no data set is known; give --data, a folder of annotated images or the word shapes")
    given = read_options(options)
    # the parts of another set have names of their own
    same = data is None or data == options["data"] or (data != BUILT_IN and options["data"] != BUILT_IN)
    return load_split(folder, role, options["on_bad_data"], given if same else DataOptions(), options["exif"])


def read_options(options: dict[str, Any]) -> DataOptions:
    """The options by which the folder of a run's data set is read."""
    return DataOptions(**{field.name: options[field.name] for field in dataclasses.fields(DataOptions)})
