"""The command ``mobiledet import``: converts a published detector's weights to a checkpoint of this project."""

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mobiledet.backbones.weight_files import tensors_of
from mobiledet.checkpoint import Checkpoint, save_checkpoint
from mobiledet.detectors import detector_from_spec
from mobiledet.detectors.nanodet_plus import GUIDANCE
from mobiledet.detectors.published import nanodet_plus, tensorflow, torchvision
from mobiledet.errors import UserError, unknown_name
from mobiledet.graph_def import read_graph
from mobiledet.spec import InputSpec, ModelSpec, Origin, TrainingInfo, image_sides
from mobiledet.weights import load_weights, read_tensors
from mobiledet.zoo.catalogue import ZOO, ZooEntry
from mobiledet.zoo.coco import COCO, LAST_ID, category_ids
from mobiledet.zoo.config import ImportConfig
from mobiledet.zoo.fetch import cached_file, digest, fetch

SSDLITE_ANCHORS = 6  # for each cell, in torchvision
OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Labels:
    """The classes of a file and their logits.

    Attributes:
        names: class names, in the order of our logits.
        ids: category ids of the data set.
        order: for each of our logits the index of the file's logit, background first.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    order: list[int]

    @property
    def unused(self) -> int:
        """Number of logits without a class."""
        return len(self.order) - 1 - len(self.names)


@dataclass(frozen=True)
class Found:
    """The content of a file of weights.

    Attributes:
        weights: tensors by our names.
        labels: the classes.
        options: further options of the detector, beyond those of the catalogue.
        changes: changes to the spec.
        note: summary of how the tensors were used.
    """

    weights: dict[str, Tensor]
    labels: Labels
    options: dict[str, Any]
    changes: dict[str, Any]
    note: str


def run(config: ImportConfig) -> None:
    """The command ``mobiledet import``."""
    spec, note = import_detector(config, print)
    assert spec.origin is not None, "just imported"
    print(f"{config.out}: {spec.detector} on {spec.backbone}, {spec.input.height} x {spec.input.width}, {note}")
    if spec.origin.published_map is None:
        why = "the file cannot be verified as the published one (its source gives no checksum or another one)"
        if spec.input.resize != "stretch":
            why = "it was measured without a letterbox"
        print(f"published mAP: none claimed, {why}")
    else:
        print(f"published mAP: {spec.origin.published_map} on {spec.origin.published_split}")
    entry = ZOO[config.name]
    if entry.resizing:
        here = "stretched to the square" if config.resize == "stretch" else "letterboxed"
        print(f"images are {here} here; the publisher's rule is: {entry.resizing}; expect another mAP")
    elif config.resize != "stretch":
        print("images are letterboxed here; the publisher stretches them to the square: expect another mAP")


def import_detector(config: ImportConfig, on_step: OnStep = lambda line: None) -> tuple[ModelSpec, str]:
    """Write the checkpoint.

    Args:
        config: options of the command.
        on_step: called with a description of each step.

    Returns:
        the spec, and a summary of how the file's tensors were used.

    Raises:
        UserError: the name is unknown, the weights cannot be downloaded or read or do not fit, or the checkpoint cannot
            be written. Nothing is written then.
    """
    entry = entry_of(config.name)
    if config.out.exists() and not config.overwrite:
        raise UserError(f"{config.out} exists already; choose another name or pass --overwrite")
    image_size = _image_size(config.image_size)
    path = config.weights or _fetched(config.name, entry, on_step)
    if not path.exists():
        raise UserError(f"no file at {path}; give the published weights with --weights FILE")
    found = _READERS[entry.kind](path, entry, config.labels)
    size = image_size or found.changes.pop("image_size", None) or (entry.side, entry.side)
    found.changes.pop("image_size", None)
    spec = _spec(config, entry, found, size, path)
    detector = detector_from_spec(spec)
    load_weights(detector, found.weights, path)
    save_checkpoint(config.out, Checkpoint(spec, detector.state_dict()))
    return spec, found.note


def entry_of(name: str) -> ZooEntry:
    """The entry of a published detector.

    Raises:
        UserError: the name is not in ``ZOO``.
    """
    if name not in ZOO:
        raise unknown_name("published detector", name, ZOO)
    return ZOO[name]


def _fetched(name: str, entry: ZooEntry, on_step: OnStep) -> Path:
    path = cached_file(name, entry.file_name)
    if not path.is_file():
        on_step(f"downloading {entry.url}")
    shown = sys.stderr.isatty()

    def progress(here: int, whole: int | None) -> None:
        if shown:
            end = "\n" if here == whole else "\r"
            print(
                f"{here / 1e6:.1f} of {whole / 1e6:.1f} MB" if whole else f"{here / 1e6:.1f} MB",
                end=end,
                file=sys.stderr,
            )

    return fetch(entry.url, path, entry.sha256, progress)


def _image_size(given: tuple[int | str, ...]) -> tuple[int, int] | None:
    if not given:
        return None
    if len(given) > 2:
        raise UserError(f"--image-size takes one side or height and width, not {len(given)} numbers")
    try:
        return image_sides("x".join(map(str, given)))
    except ValueError as error:
        raise UserError(f"--image-size {' '.join(map(str, given))}: {error}") from error


def _spec(config: ImportConfig, entry: ZooEntry, found: Found, size: tuple[int, int], path: Path) -> ModelSpec:
    unused = {"unused_logits": found.labels.unused} if found.labels.unused else {}
    try:
        options = entry.detector_options.changed(**found.options, **unused)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    rule = config.input_rule()
    try:
        image = InputSpec(size[0], size[1], entry.mean, entry.std, **rule)
    except ValueError as error:
        raise UserError(f"--image-size {' '.join(map(str, size))}: {error}") from error
    checksum = digest(path) if path.is_file() else ""
    is_published = bool(entry.sha256) and checksum.startswith(entry.sha256)
    is_as_measured = is_published and size == (entry.side, entry.side) and config.resize == "stretch"
    is_genuine = is_published or config.weights is None
    return ModelSpec(
        name=f"{config.name}-{size[0]}" + (f"x{size[1]}" if size[1] != size[0] else ""),
        backbone=entry.backbone,
        detector=entry.detector,
        input=image,
        labels=found.labels.names,
        category_ids=found.labels.ids,
        nms=found.changes.get("nms", entry.nms),
        backbone_options=dict(entry.backbone_options),
        detector_options=options,
        training=TrainingInfo(dataset="COCO" if is_genuine else ""),
        origin=Origin(
            config.name,
            str(config.weights.name) if config.weights else entry.url,
            checksum,
            entry.licence if is_genuine else "",
            entry.published_map if is_as_measured else None,
            entry.published_split if is_as_measured else "",
        ),
    )


def _labels(given: tuple[str, ...], logits: int, path: Path) -> Labels:
    """The classes of a file with background and ``logits - 1`` other logits.

    Raises:
        UserError: the number of names does not match.
    """
    if given:
        if len(given) != logits - 1:
            raise UserError(f"{path} was trained on {logits - 1} classes, and --labels names {len(given)}")
        if len(set(given)) < len(given) or not all(given):
            raise UserError("--labels repeats a name or has an empty one")
        return Labels(given, category_ids(given), torchvision.class_order(logits, range(1, logits)))
    if logits == LAST_ID + 1:
        return Labels(tuple(COCO.values()), tuple(COCO), torchvision.class_order(logits, tuple(COCO)))
    if logits == len(COCO) + 1:
        return Labels(tuple(COCO.values()), tuple(COCO), torchvision.class_order(logits, range(1, logits)))
    raise UserError(
        f"{path} was trained on {logits - 1} classes, which are not COCO's; name them in their order with --labels"
    )


def _read_nanodet(path: Path, entry: ZooEntry, given: tuple[str, ...]) -> Found:
    weights, num_classes, note = nanodet_plus.translate(tensors_of(read_tensors(path), path), path)
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(f"{GUIDANCE}.")}
    if len(kept) < len(weights):
        note += f"; {len(weights) - len(kept)} of the auxiliary head, which is only used in training, left out"
    # fine-tuning without the auxiliary head, which the checkpoint lacks, takes a fraction of the time
    return Found(kept, _labels(given, num_classes + 1, path), {"guidance": False}, {}, note)


def _read_torchvision_ssdlite(path: Path, entry: ZooEntry, given: tuple[str, ...]) -> Found:
    tensors = tensors_of(read_tensors(path), path)
    labels = _labels(given, torchvision.ssdlite_logits(tensors, SSDLITE_ANCHORS, path), path)
    weights, note = torchvision.translate_ssdlite(tensors, labels.order, path)
    return Found(weights, labels, {}, {}, note)


def _read_torchvision_faster_rcnn(path: Path, entry: ZooEntry, given: tuple[str, ...]) -> Found:
    tensors = tensors_of(read_tensors(path), path)
    labels = _labels(given, torchvision.faster_rcnn_logits(tensors, path), path)
    weights, note = torchvision.translate_faster_rcnn(tensors, labels.order, len(labels.names), path)
    return Found(weights, labels, {}, {}, note)


def _read_tensorflow_ssd(path: Path, entry: ZooEntry, given: tuple[str, ...]) -> Found:
    graph = tensorflow.read_ssd(read_graph(path), entry.backbone)
    labels = _labels(given, graph.num_logits, path)
    weights = tensorflow.in_class_order(graph.weights, labels.order, path)
    changes: dict[str, Any] = {"nms": dataclasses.replace(entry.nms, iou=graph.iou) if graph.iou else entry.nms}
    if graph.image_size:
        changes["image_size"] = graph.image_size
    return Found(weights, labels, {"anchors": graph.anchors}, changes, f"{len(graph.weights)} tensors")


_READERS: dict[str, Callable[[Path, ZooEntry, tuple[str, ...]], Found]] = {
    "nanodet": _read_nanodet,
    "torchvision_ssdlite": _read_torchvision_ssdlite,
    "torchvision_faster_rcnn": _read_torchvision_faster_rcnn,
    "tensorflow_ssd": _read_tensorflow_ssd,
}
