"""The description of a model, a plain record that is stored in checkpoints and bundles. Imports no torch."""

import dataclasses
import math
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from mobiledet.errors import UserError
from mobiledet.options import NO_OPTIONS, DetectorOptions, OtherOptions, options_of
from mobiledet.records import Converted, Range, decode, load_json

SCHEMA_VERSION = 1
# limits that no mobile detector needs to exceed: a file that does is damaged or meant to fill the memory
MAX_SIDE, MAX_CLASSES, MAX_CANDIDATES = 4096, 20_000, 1_000_000
Resize = Literal["stretch", "letterbox"]
Padding = Literal["grey", "black"]
Corner = Literal["centre", "top-left"]
RESIZE_RULES = ("stretch", "letterbox")
PADDINGS = {"grey": 114, "black": 0}  # of each channel, 0..255
PLACEMENTS = ("centre", "top-left")
EXIF_RULES = ("auto", "apply", "ignore")
Sampling = Literal["mean", "bilinear"]
SAMPLINGS = ("mean", "bilinear")
MIN_SIDE = 32  # pixels
# outputs of a model file, in the order that detection apps expect
OUTPUTS = {"boxes": "yxyx in 0..1", "classes": "index into labels", "scores": "0..1", "count": "valid rows"}

# ImageNet statistics in 0..255, as used by published weights
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class InputSpec:
    """The input of a model: 1 x height x width x 3, RGB, values 0..255; normalisation is part of the graph.

    Attributes:
        height, width: pixels, at least ``MIN_SIDE``; a network that needs multiples of 32 checks that itself.
        mean, std: normalisation of each channel in 0..255: the network sees ``(value - mean) / std``.
        resize: how an image is resized to height x width: ``stretch`` scales both sides independently; ``letterbox``
            keeps the image's aspect ratio and fills the rest, as defined in ``mobiledet.placement``.
        sampling: which pixels are used when shrinking: ``mean`` uses all, as defined in ``mobiledet.data.resize``;
            ``bilinear``, in older files, uses four for each pixel of the result.
        channels: order of the channels.
        exif: whether a photo is rotated according to its EXIF orientation: ``apply``, ``ignore``, or ``auto``, which
            applies it unless annotations refer to the stored pixels.
        padding: fill colour of a letterbox, a key of ``PADDINGS``.
        placement: position of the image in a letterbox: ``centre`` or ``top-left``.
    """

    height: int
    width: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    resize: Resize = "stretch"
    sampling: Sampling = "mean"
    channels: str = "RGB"
    exif: Literal["auto", "apply", "ignore"] = "auto"
    padding: Padding = "grey"
    placement: Corner = "centre"

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            is_valid = isinstance(side, int) and not isinstance(side, bool) and side >= MIN_SIDE
            _require(is_valid, f"input side {side} is not a whole number of at least {MIN_SIDE}")
            _require(side <= MAX_SIDE, f"input side {side} is above {MAX_SIDE} pixels")
        _require(len(self.mean) == 3 and len(self.std) == 3, "mean and std need three values, one for each channel")
        _require(all(math.isfinite(v) for v in (*self.mean, *self.std)), "mean and std must be finite")
        _require(all(v > 0 for v in self.std), f"std {self.std} is not positive")
        _require(self.resize in RESIZE_RULES, f"resize rule {self.resize!r} is not one of {', '.join(RESIZE_RULES)}")
        _require(self.sampling in SAMPLINGS, f"sampling {self.sampling!r} is not one of {', '.join(SAMPLINGS)}")
        _require(self.channels == "RGB", f"channels {self.channels!r} is not RGB")
        _require(self.exif in EXIF_RULES, f"exif rule {self.exif!r} is not one of {', '.join(EXIF_RULES)}")
        _require(self.padding in PADDINGS, f"padding {self.padding!r} is not one of {', '.join(PADDINGS)}")
        _require(self.placement in PLACEMENTS, f"placement {self.placement!r} is not one of {', '.join(PLACEMENTS)}")

    @property
    def resize_text(self) -> str:
        """The resize rule as text, such as "letterbox (grey, centre)"."""
        if self.resize == "stretch":
            return self.resize
        return f"{self.resize} ({self.padding}, {self.placement})"


@dataclass(frozen=True)
class NmsSpec:
    """Settings of non-maximum suppression.

    Attributes:
        iou: a box whose IoU with a higher-scoring box of its class is above this is dropped.
        score: lowest score of a detection.
        top_k: number of candidates (box, class) before suppression.
        max_detections: number of rows in the output.
    """

    iou: float = 0.5
    score: float = 0.01
    top_k: int = 300
    max_detections: int = 100

    def __post_init__(self) -> None:
        _require(0 < self.iou < 1, f"nms iou {self.iou} is not between 0 and 1")
        _require(0 <= self.score < 1, f"nms score {self.score} is not in 0..1")
        _require(0 < self.max_detections <= self.top_k, "nms needs 0 < max_detections <= top_k")
        _require(self.top_k <= MAX_CANDIDATES, f"nms top_k {self.top_k} is above {MAX_CANDIDATES}")


@dataclass(frozen=True)
class TrainingInfo:
    """How the weights were trained; ``commit`` is the git commit of the code, empty outside a checkout."""

    dataset: str = ""
    split: str = ""
    epochs: Annotated[float, Range(0)] = 0
    commit: str = ""
    seed: int = 0


@dataclass(frozen=True)
class Origin:
    """The origin of imported weights.

    Attributes:
        name: name of the detector in the zoo.
        source: URL that the file was downloaded from, or the name of the file that the user gave.
        sha256: checksum of that file.
        licence: licence of the weights; empty if the file is not known to be the published one.
        published_map: COCO box mAP in percent that the publisher reports; None if the file is not known to be the
            published one.
        published_split: images that it was measured on; empty without an mAP.
    """

    name: str
    source: str
    sha256: str
    licence: str = ""
    published_map: float | None = None
    published_split: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that is needed to build the network, prepare its input and read its outputs.

    Attributes:
        name: name of the model, such as ``shufflenet_v2_0.5x-ssdlite_fpn-160``.
        backbone, detector: keys of ``BACKBONES`` and ``DETECTORS``.
        input: the input image.
        labels: class names; a model's class index is an index into this list.
        category_ids: the data set's own id of each label (COCO: 1..90 with gaps).
        nms: settings of non-maximum suppression.
        backbone_options: keyword arguments of the backbone as JSON values, see ``BACKBONE_OPTIONS``; usually empty.
        detector_options: options of the detector, an instance of its class in ``mobiledet.options.OPTIONS``.
        training: how the weights were trained.
        origin: origin of imported weights; None for others.
    """

    name: Annotated[str, Range(1, 200)]
    backbone: str
    detector: str
    input: InputSpec
    labels: Annotated[tuple[str, ...], Range(1, MAX_CLASSES)]
    category_ids: tuple[int, ...]
    nms: NmsSpec = NmsSpec()
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    detector_options: Annotated[DetectorOptions, Converted(Mapping[str, Any], OtherOptions)] = NO_OPTIONS
    training: TrainingInfo = TrainingInfo()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _require(bool(self.labels), "labels are empty")
        _require(all(isinstance(label, str) and label for label in self.labels), "every label must be a non-empty text")
        # labels.txt has one label per line
        _require(all(label.splitlines() == [label] for label in self.labels), "a label has more than one line")
        _require(
            len(self.labels) == len(self.category_ids),
            f"{len(self.labels)} labels but {len(self.category_ids)} category ids",
        )
        _require(len(set(self.category_ids)) == len(self.category_ids), "category ids repeat")
        own = options_of(self.detector, self.detector_options.to_json(), "detector_options")
        object.__setattr__(self, "detector_options", own)

    @property
    def num_classes(self) -> int:
        """Number of classes, without background."""
        return len(self.labels)

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each output of a model file, in the order of ``OUTPUTS``."""
        rows = self.nms.max_detections
        return dict(zip(OUTPUTS, [(1, rows, 4), (1, rows), (1, rows), (1,)], strict=True))

    def record(self) -> dict[str, Any]:
        """The fields as JSON values, which ``decode`` reads."""
        return {**dataclasses.asdict(self), "detector_options": self.detector_options.to_json()}

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values, with ``schema_version`` and the conventions of the outputs."""
        values = self.record()
        if not self.backbone_options:  # as in older files
            del values["backbone_options"]
        if self.origin is None:
            del values["origin"]
        if self.input.resize == "stretch":  # there is no padding; as in older files
            del values["input"]["padding"], values["input"]["placement"]
        return {"schema_version": SCHEMA_VERSION, **values, "outputs": dict(OUTPUTS)}

    @classmethod
    def from_json(
        cls, values: Any, source: str, beside: Collection[str] = (), older_sampling: Sampling = "bilinear"
    ) -> "ModelSpec":
        """Read the result of ``to_json``.

        Args:
            values: decoded JSON.
            source: the file that it came from, for error messages.
            beside: names of other fields, which do not belong to the spec and are ignored.
            older_sampling: value of ``InputSpec.sampling`` for older files that lack it.

        Raises:
            UserError: a field is missing, unknown or of the wrong type, or the schema version differs.
        """
        if not isinstance(values, dict) or "schema_version" not in values:
            raise UserError(f"{source}: not a mobiledet model description (no schema_version)")
        version = values["schema_version"]
        if version != SCHEMA_VERSION or type(version) is not int:
            raise UserError(
                f"{source}: schema version {str(version)[:20]} is not {SCHEMA_VERSION}; use the matching mobiledet"
            )
        if values.get("outputs", OUTPUTS) != OUTPUTS:
            raise UserError(f"{source}: its outputs are not those of this mobiledet; export it again")
        own = {name: value for name, value in values.items() if name not in ("schema_version", "outputs", *beside)}
        own = {"backbone_options": {}, "origin": None, **own}  # older files lack these
        if isinstance(own.get("input"), dict):
            own["input"] = {"sampling": older_sampling, **own["input"]}
        try:
            spec: ModelSpec = decode(cls, own, filled=(InputSpec, NmsSpec, TrainingInfo))
        except ValueError as error:
            raise UserError(f"{source}: {error}") from error
        return spec


def image_sides(size: int | str) -> tuple[int, int]:
    """Height and width in pixels of an image size: the side of a square, or a text such as 192x320.

    Raises:
        ValueError: the size is neither.
    """
    words = str(size).lower().replace("×", "x").split("x")
    if not 1 <= len(words) <= 2 or not all(word.strip().isdecimal() for word in words):
        raise ValueError("give one side in pixels, or height and width, such as 192x320")
    return int(words[0]), int(words[-1])


def sides_text(height: int, width: int) -> str:
    """An image size as the shortest text that ``image_sides`` reads: 320, or 192x320."""
    return f"{height}" if height == width else f"{height}x{width}"


def read_json(path: Any, most_bytes: int | None = None) -> Any:
    """Decode a JSON file in UTF-8, with or without a byte order mark, or in UTF-16.

    Args:
        path: the file.
        most_bytes: largest allowed size; None for no limit, as annotation files of large data sets need.

    Raises:
        UserError: the file is missing, unreadable, too large or not JSON.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                raise UserError(f"cannot read {path}: it is a device, not a file")
            content = file.read(-1 if most_bytes is None else most_bytes + 1)
        if most_bytes is not None and len(content) > most_bytes:
            raise UserError(f"{path} has more than {most_bytes >> 20} MiB, too much for what it should hold")
        return load_json(content, lenient=True)
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:  # also of a path with a null character
        raise UserError(f"{path} is not JSON: {error}") from error
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory") from error
