"""Reads a data set: recognises its format, chooses the split and checks everything. Imports no torch.

The readers are our own. supervision 0.31 drops VOC's `difficult` and silently accepts boxes outside their image and
swapped corners; datumaro 1.13 depends on 22 packages, among them pandas and pyarrow.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobiledet.data.check import checked
from mobiledet.data.coco import ROBOFLOW_FILE, CocoReader, RoboflowReader
from mobiledet.data.config import DataOptions, Exif, OnBadData
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.listing import Reader
from mobiledet.data.shapes import shapes_folder
from mobiledet.data.split import hold_out
from mobiledet.data.voc import VocReader
from mobiledet.data.yolo import YoloReader
from mobiledet.errors import UserError

BUILT_IN = "shapes"
Role = Literal["train", "val"]
# in the order in which formats are tried
READERS: dict[str, Reader] = {
    "roboflow": RoboflowReader(),
    "coco": CocoReader(),
    "yolo": YoloReader(),
    "voc": VocReader(),
}
NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
YEARS = ("2017", "2014", "2012", "2007", "")  # COCO and VOC append the year to the names of splits


@dataclass(frozen=True)
class Source:
    """Where a data set is, and how it is read.

    Attributes:
        folder: folder of the data set.
        name: name to show.
        format: its format, a key of ``READERS``.
        splits: names of its splits in this format.
        others: other formats that the folder matches, too.
    """

    folder: Path
    name: str
    format: str
    splits: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """Which format is used if several match; otherwise empty."""
        if not self.others:
            return ""
        return (
            f"{self.folder} can be read as {self.format} and as {' and '.join(self.others)}: {self.format} is used; "
            f"choose the other with --data-format {self.others[0]}"
        )


def load_split(
    data: str | Path,
    role: str,
    on_bad_data: OnBadData = "error",
    options: DataOptions | None = None,
    exif: Exif = "auto",
) -> DetectionSet:
    """Read one split of a data set.

    Args:
        data: its folder, or ``shapes`` for the built-in data set.
        role: ``train``, ``val``, or the name of another split.
        on_bad_data: as in ``check.checked``.
        options: how the folder is read; its ``on_bad_data`` is ignored.
        exif: see ``headers.choose_reading``.

    Raises:
        UserError: the folder does not exist or has no known format, the split does not exist, or its data is bad.
    """
    options = options or DataOptions()
    source = find_source(data, options)
    if options.val_share:
        return _share(source, role, on_bad_data, options, exif)
    return _read(source, choose_split(source, role, options), on_bad_data, exif)


def find_source(data: str | Path, options: DataOptions) -> Source:
    """Recognise the format of a folder.

    If several match, the first one in ``READERS`` that has the splits named in ``options`` is used.

    Raises:
        UserError: the folder does not exist, or matches no format.
    """
    folder = shapes_folder() if data == BUILT_IN else Path(data)
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist; give a folder of annotated images or {BUILT_IN}")
    wanted = READERS if options.data_format == "auto" else {options.data_format: READERS[options.data_format]}
    found = {name: tuple(reader.splits(folder)) for name, reader in wanted.items()}
    found = {name: splits for name, splits in found.items() if splits}
    if not found:
        raise UserError(
            f"{folder} is not in the format {' or '.join(wanted)}: it has no annotations/*.json, no "
            f"*/{ROBOFLOW_FILE}, no data.yaml and no XML files; --data-format in `mobiledet train --help` describes "
            "the layouts"
        )
    given = [name for name in (options.train_set, options.val_set) if name]
    fitting = [name for name, splits in found.items() if all(_named(splits, split) is not None for split in given)]
    # prefer a format in which the set has a validation split
    whole = [name for name in fitting or found if options.val_share or _default(found[name], "val") or options.val_set]
    chosen, *others = whole or fitting or list(found)
    name = data if data == BUILT_IN else folder.resolve().name
    return Source(folder, str(name), chosen, found[chosen], tuple(others))


def choose_split(source: Source, role: str, options: DataOptions) -> str:
    """The name of the split that ``train``, ``val`` or a name refers to.

    Raises:
        UserError: the data set has no such split.
    """
    given = {"train": options.train_set, "val": options.val_set}.get(role, role)
    split = _named(source.splits, given) if given else _default(source.splits, role)
    if split is not None:
        return split
    has = f"it has {', '.join(source.splits)}" if any(source.splits) else "it has no splits"
    option = {"train": "--train-set", "val": "--val-set"}.get(role, "--split")
    if given:
        raise UserError(f"{source.folder}, read as {source.format}, has no split {given!r}; {has} ({option})")
    share = ", or hold out a part of the training images with --val-share 0.2" if role == "val" else ""
    kind = {"train": "training", "val": "validation"}[role]
    raise UserError(
        f"{source.folder}, read as {source.format}, has no {kind} split: {has}; name one with {option}{share}"
    )


def _named(splits: tuple[str, ...], name: str) -> str | None:
    return next((f"{name}{year}" for year in ("", *YEARS) if f"{name}{year}" in splits), None)


def _default(splits: tuple[str, ...], role: str) -> str | None:
    for name in NAMES.get(role, (role,)):
        for year in YEARS:
            if f"{name}{year}" in splits:
                return f"{name}{year}"
    return splits[0] if len(splits) == 1 and splits[0] in ("", "default", "instances", "annotations") else None


def _share(source: Source, role: str, on_bad_data: OnBadData, options: DataOptions, exif: Exif) -> DetectionSet:
    existing = options.val_set or _default(source.splits, "val")
    split = choose_split(source, "train", options)
    if existing and existing != split:
        raise UserError(
            f"--val-share: {source.folder} has a validation split, {existing}; leave --val-share out to use it"
        )
    whole = _read(source, split, on_bad_data, exif)
    if role not in NAMES:
        return whole
    train, val = hold_out(whole, options.val_share, options.split_seed, options.split_by)
    return dataclasses.replace(train if role == "train" else val, name=f"{source.name}-{role}")


def _read(source: Source, split: str, on_bad_data: OnBadData, exif: Exif) -> DetectionSet:
    listing = READERS[source.format].read(source.folder, split)
    if source.note:
        listing.notes.insert(0, source.note)
    shown = split.removesuffix("2017") or "all"
    return checked(listing, f"{source.name}-{shown}", exif, on_bad_data)
