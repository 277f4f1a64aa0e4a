"""The one way to a data set: its format recognised, its parts chosen, everything checked. No torch.

The readers are our own. Of the libraries that were weighed, supervision 0.31 forgets `difficult` and takes boxes out
of their picture and swapped corners without a word; datumaro 1.13 brings 22 packages, pandas and pyarrow among them.
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
from mobiledet.data.split import split_off
from mobiledet.data.voc import VocReader
from mobiledet.data.yolo import YoloReader
from mobiledet.errors import UserError

BUILT_IN = "shapes"
Role = Literal["train", "val"]
# in the order in which they are looked for
READERS: dict[str, Reader] = {
    "roboflow": RoboflowReader(),
    "coco": CocoReader(),
    "yolo": YoloReader(),
    "voc": VocReader(),
}
NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation")}
YEARS = ("2017", "2014", "2012", "2007", "")  # COCO's and VOC's stand behind the names


@dataclass(frozen=True)
class Source:
    """Where a data set is, and how it is read.

    Attributes:
        folder: the data set.
        name: for people.
        format: a key of ``READERS``.
        parts: those that it holds in this format.
        others: formats that it could be read in as well.
    """

    folder: Path
    name: str
    format: str
    parts: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What was taken, where there was a choice; else empty."""
        if not self.others:
            return ""
        return (
            f"{self.folder} can be read as {self.format} and as {' and '.join(self.others)}: {self.format} is taken; "
            f"--data-format {self.others[0]} takes the other"
        )


def load_split(
    data: str | Path,
    role: str,
    on_bad_data: OnBadData = "error",
    options: DataOptions | None = None,
    exif: Exif = "auto",
) -> DetectionSet:
    """Read one part of a data set.

    Args:
        data: its folder, or the word ``shapes`` for the built-in set.
        role: ``train`` or ``val``, or the name of another part.
        on_bad_data: as in ``check.checked``.
        options: how the folder is read; its own ``on_bad_data`` counts for nothing here.
        exif: see ``headers.choose_reading``.

    Raises:
        UserError: the folder does not exist or is in no known format, the part is not there, or its data is bad.
    """
    options = options or DataOptions()
    source = find_source(data, options)
    if options.val_share:
        return _share(source, role, on_bad_data, options, exif)
    return _read(source, choose_part(source, role, options), on_bad_data, exif)


def find_source(data: str | Path, options: DataOptions) -> Source:
    """Recognise the format of a folder.

    Where several fit, the first one of ``READERS`` that has the parts that ``options`` name.

    Raises:
        UserError: there is no folder, or it is in none of the formats.
    """
    folder = shapes_folder() if data == BUILT_IN else Path(data)
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist; give a folder of annotated pictures or {BUILT_IN}")
    wanted = READERS if options.data_format == "auto" else {options.data_format: READERS[options.data_format]}
    found = {name: tuple(reader.parts(folder)) for name, reader in wanted.items()}
    found = {name: parts for name, parts in found.items() if parts}
    if not found:
        raise UserError(
            f"{folder} is in none of the forms {', '.join(wanted)}: it holds no annotations/*.json, no "
            f"{ROBOFLOW_FILE} below it, no data.yaml and no XML files; --data-format in `mobiledet train --help` "
            "describes the layouts"
        )
    given = [name for name in (options.train_set, options.val_set) if name]
    fitting = [name for name, parts in found.items() if all(_named(parts, part) is not None for part in given)]
    # a set without a validation part is no reason to pass over one that has it
    whole = [name for name in fitting or found if options.val_share or _default(found[name], "val") or options.val_set]
    chosen, *others = whole or fitting or list(found)
    name = data if data == BUILT_IN else folder.resolve().name
    return Source(folder, str(name), chosen, found[chosen], tuple(others))


def choose_part(source: Source, role: str, options: DataOptions) -> str:
    """The part of a set that is meant by ``train``, ``val`` or a name.

    Raises:
        UserError: it has no such part.
    """
    given = {"train": options.train_set, "val": options.val_set}.get(role, role)
    part = _named(source.parts, given) if given else _default(source.parts, role)
    if part is not None:
        return part
    has = f"it has {', '.join(source.parts)}" if any(source.parts) else "it is not divided into parts"
    option = {"train": "--train-set", "val": "--val-set"}.get(role, "--split")
    if given:
        raise UserError(f"{source.folder}, read as {source.format}, has no part {given!r}; {has} ({option})")
    share = ", or keep a share of the training part apart with --val-share 0.2" if role == "val" else ""
    kind = {"train": "training", "val": "validation"}[role]
    raise UserError(
        f"{source.folder}, read as {source.format}, has no {kind} part: {has}; name one with {option}{share}"
    )


def _named(parts: tuple[str, ...], name: str) -> str | None:
    return next((f"{name}{year}" for year in ("", *YEARS) if f"{name}{year}" in parts), None)


def _default(parts: tuple[str, ...], role: str) -> str | None:
    for name in NAMES.get(role, (role,)):
        for year in YEARS:
            if f"{name}{year}" in parts:
                return f"{name}{year}"
    return parts[0] if len(parts) == 1 and parts[0] in ("", "default", "instances", "annotations") else None


def _share(source: Source, role: str, on_bad_data: OnBadData, options: DataOptions, exif: Exif) -> DetectionSet:
    existing = options.val_set or _default(source.parts, "val")
    part = choose_part(source, "train", options)
    if existing and existing != part:
        raise UserError(
            f"--val-share: {source.folder} has a validation part, {existing}; leave --val-share out to validate on it"
        )
    whole = _read(source, part, on_bad_data, exif)
    if role not in NAMES:
        return whole
    train, val = split_off(whole, options.val_share, options.split_seed, options.split_by)
    return dataclasses.replace(train if role == "train" else val, name=f"{source.name}-{role}")


def _read(source: Source, part: str, on_bad_data: OnBadData, exif: Exif) -> DetectionSet:
    listing = READERS[source.format].read(source.folder, part)
    if source.note:
        listing.notes.insert(0, source.note)
    shown = part.removesuffix("2017") or "all"
    return checked(listing, f"{source.name}-{shown}", exif, on_bad_data)
