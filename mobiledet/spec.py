"""What a model takes and gives, as one plain record that travels from the checkpoint to the phone. No torch."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mobiledet.errors import UserError

SCHEMA_VERSION = 1
RESIZE_RULES = ("stretch",)
EXIF_RULES = ("auto", "apply", "ignore")
LEAST_SIDE = 32  # pixels
# in the order that detection apps expect
OUTPUTS = {"boxes": "yxyx in 0..1", "classes": "index into labels", "scores": "0..1", "count": "valid rows"}

# ImageNet statistics in 0..255, those of the published weights
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class InputSpec:
    """The image a model takes: 1 x height x width x 3, RGB, raw values 0..255; normalisation is inside the graph.

    Attributes:
        height, width: pixels, at least ``LEAST_SIDE``; a network that needs multiples of 32 says so when it is built.
        mean, std: of each channel in 0..255: the network sees ``(value - mean) / std``.
        resize: how an image becomes height x width: ``stretch`` scales both sides to fit, bilinear.
        channels: the order of the channels.
        exif: whether a photograph is turned as its EXIF orientation says: ``apply``, ``ignore``, or ``auto``, which
            applies it unless annotations speak of the stored pixels.
    """

    height: int
    width: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize: str = "stretch"
    channels: str = "RGB"
    exif: Literal["auto", "apply", "ignore"] = "auto"

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            is_valid = isinstance(side, int) and not isinstance(side, bool) and side >= LEAST_SIDE
            _require(is_valid, f"input side {side} is not a whole number of at least {LEAST_SIDE}")
        _require(len(self.mean) == 3 and len(self.std) == 3, "mean and std need three values, one for each channel")
        _require(all(math.isfinite(v) for v in (*self.mean, *self.std)), "mean and std must be finite")
        _require(all(v > 0 for v in self.std), f"std {self.std} is not positive")
        _require(self.resize in RESIZE_RULES, f"resize rule {self.resize!r} is not one of {', '.join(RESIZE_RULES)}")
        _require(self.channels == "RGB", f"channels {self.channels!r} is not RGB")
        _require(self.exif in EXIF_RULES, f"exif rule {self.exif!r} is not one of {', '.join(EXIF_RULES)}")


@dataclass(frozen=True)
class NmsSpec:
    """How raw scores become detections.

    Attributes:
        iou: a box that overlaps a better one of its class by more than this is dropped.
        score: detections below it are dropped.
        top_k: candidates (box, class) that enter suppression.
        max_detections: rows of the output.
    """

    iou: float = 0.5
    score: float = 0.01
    top_k: int = 300
    max_detections: int = 100

    def __post_init__(self) -> None:
        _require(0 < self.iou < 1, f"nms iou {self.iou} is not between 0 and 1")
        _require(0 <= self.score < 1, f"nms score {self.score} is not in 0..1")
        _require(0 < self.max_detections <= self.top_k, "nms needs 0 < max_detections <= top_k")


@dataclass(frozen=True)
class TrainingInfo:
    """Where the weights come from; ``commit`` is that of the code, empty outside a git checkout."""

    dataset: str = ""
    split: str = ""
    epochs: float = 0
    commit: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Origin:
    """Whose weights an imported model has.

    Attributes:
        name: of the zoo.
        source: the address that the file came from, or its name where the user gave it.
        sha256: of that file.
        licence: of the weights; empty where the file is not known to be the published one.
        published_map: COCO box mAP in percent that the publisher reports; None where the file is not known to be the
            published one.
        published_split: that it was measured on; empty without an mAP.
    """

    name: str
    source: str
    sha256: str
    licence: str = ""
    published_map: float | None = None
    published_split: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that another machine needs to build the network, feed it and read its outputs.

    Attributes:
        name: of the model, such as ``shufflenet_v2_0.5x-ssdlite_fpn-160``.
        backbone, detector: keys of ``BACKBONES`` and ``DETECTORS``.
        input: the image.
        labels: class names; a model's class index is a position in this list.
        category_ids: the dataset's own id of each label (COCO: 1..90 with gaps).
        nms: suppression settings.
        backbone_options: keyword arguments of the backbone, see ``BACKBONE_OPTIONS``; plain JSON values, mostly none.
        detector_options: keyword arguments of the detector beyond backbone, classes and input; plain JSON values.
        training: where the weights come from.
        origin: of imported weights.
    """

    name: str
    backbone: str
    detector: str
    input: InputSpec
    labels: tuple[str, ...]
    category_ids: tuple[int, ...]
    nms: NmsSpec = NmsSpec()
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    detector_options: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingInfo = TrainingInfo()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _require(bool(self.labels), "labels are empty")
        _require(all(isinstance(label, str) and label for label in self.labels), "every label must be a non-empty text")
        _require(
            len(self.labels) == len(self.category_ids),
            f"{len(self.labels)} labels but {len(self.category_ids)} category ids",
        )
        _require(len(set(self.category_ids)) == len(self.category_ids), "category ids repeat")

    @property
    def num_classes(self) -> int:
        return len(self.labels)

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each output of a model file, in the order of ``OUTPUTS``."""
        rows = self.nms.max_detections
        return dict(zip(OUTPUTS, [(1, rows, 4), (1, rows), (1, rows), (1,)], strict=True))

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values, with ``schema_version`` and the outputs' conventions spelled out."""
        values = dataclasses.asdict(self)
        if not self.backbone_options:  # as in files from before there were any
            del values["backbone_options"]
        if self.origin is None:
            del values["origin"]
        return {"schema_version": SCHEMA_VERSION, **values, "outputs": dict(OUTPUTS)}

    @classmethod
    def from_json(cls, values: Any, source: str) -> "ModelSpec":
        """Read what ``to_json`` wrote.

        Args:
            values: decoded JSON.
            source: the file that it came from, for messages.

        Raises:
            UserError: a field is missing, unknown or of the wrong kind, or the schema is newer than this code.
        """
        if not isinstance(values, dict) or "schema_version" not in values:
            raise UserError(f"{source}: not a mobiledet model description (no schema_version)")
        version = values["schema_version"]
        if version != SCHEMA_VERSION:
            raise UserError(f"{source}: schema version {version} is not {SCHEMA_VERSION}; use the matching mobiledet")
        try:
            return cls(
                name=str(values["name"]),
                backbone=str(values["backbone"]),
                detector=str(values["detector"]),
                input=_from_fields(InputSpec, values["input"]),
                labels=tuple(values["labels"]),
                category_ids=tuple(int(i) for i in values["category_ids"]),
                nms=_from_fields(NmsSpec, values["nms"]),
                backbone_options=dict(values.get("backbone_options", {})),
                detector_options=dict(values["detector_options"]),
                training=_from_fields(TrainingInfo, values["training"]),
                origin=_from_fields(Origin, values["origin"]) if "origin" in values else None,
            )
        except KeyError as error:
            raise UserError(f"{source}: field {error} is missing from the model description") from error
        except (TypeError, ValueError) as error:
            raise UserError(f"{source}: {error}") from error


def read_json(path: Any) -> Any:
    """Decode a JSON file in UTF-8, with or without a byte order mark, or in UTF-16.

    Raises:
        UserError: the file is missing, unreadable or not JSON, or nested beyond reason.
    """
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply to be read") from error


def _from_fields(record: type, values: Any) -> Any:
    """Build a dataclass from a JSON object; lists become tuples, unknown fields are errors."""
    if not isinstance(values, dict):
        raise ValueError(f"{record.__name__} must be a JSON object, not {type(values).__name__}")
    return record(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
