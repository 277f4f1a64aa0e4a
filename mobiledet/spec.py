"""What a model takes and gives, as one plain record that travels from the checkpoint to the phone. No torch."""

import dataclasses
import math
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from mobiledet.errors import UserError
from mobiledet.options import NO_OPTIONS, DetectorOptions, OtherOptions, options_of
from mobiledet.records import Made, Range, decode, load_json

SCHEMA_VERSION = 1
# what no detector for phones needs more of: a file that says so is damaged or meant to fill the memory
MOST_PIXELS_A_SIDE, MOST_CLASSES, MOST_CANDIDATES = 4096, 20_000, 1_000_000
Resize = Literal["stretch", "letterbox"]
Padding = Literal["grey", "black"]
Corner = Literal["centre", "top-left"]
RESIZE_RULES = ("stretch", "letterbox")
PADDINGS = {"grey": 114, "black": 0}  # of each channel, 0..255
PLACEMENTS = ("centre", "top-left")
EXIF_RULES = ("auto", "apply", "ignore")
Sampling = Literal["mean", "bilinear"]
SAMPLINGS = ("mean", "bilinear")
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
        resize: how an image becomes height x width: ``stretch`` scales both sides to fit; ``letterbox`` keeps the
            image's shape and fills the rest, as ``mobiledet.placement`` defines.
        sampling: which of its pixels count: ``mean``, as ``mobiledet.data.resize`` defines, all; ``bilinear``, of files
            from before there was a choice, the four around each place.
        channels: the order of the channels.
        exif: whether a photograph is turned as its EXIF orientation says: ``apply``, ``ignore``, or ``auto``, which
            applies it unless annotations speak of the stored pixels.
        padding: colour beside the image of a letterbox, a key of ``PADDINGS``.
        placement: where the image lies in a letterbox: ``centre`` or ``top-left``.
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
            is_valid = isinstance(side, int) and not isinstance(side, bool) and side >= LEAST_SIDE
            _require(is_valid, f"input side {side} is not a whole number of at least {LEAST_SIDE}")
            _require(side <= MOST_PIXELS_A_SIDE, f"input side {side} is above {MOST_PIXELS_A_SIDE} pixels")
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
        """How an image becomes the input, in words."""
        if self.resize == "stretch":
            return self.resize
        return f"{self.resize} ({self.padding}, {self.placement})"


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
        _require(self.top_k <= MOST_CANDIDATES, f"nms top_k {self.top_k} is above {MOST_CANDIDATES}")


@dataclass(frozen=True)
class TrainingInfo:
    """Where the weights come from; ``commit`` is that of the code, empty outside a git checkout."""

    dataset: str = ""
    split: str = ""
    epochs: Annotated[float, Range(0)] = 0
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
        detector_options: what is set of the detector beyond backbone, classes and input; becomes the class that
            ``mobiledet.options.OPTIONS`` has for it.
        training: where the weights come from.
        origin: of imported weights.
    """

    name: Annotated[str, Range(1, 200)]
    backbone: str
    detector: str
    input: InputSpec
    labels: Annotated[tuple[str, ...], Range(1, MOST_CLASSES)]
    category_ids: tuple[int, ...]
    nms: NmsSpec = NmsSpec()
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    detector_options: Annotated[DetectorOptions, Made(Mapping[str, Any], OtherOptions)] = NO_OPTIONS
    training: TrainingInfo = TrainingInfo()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _require(bool(self.labels), "labels are empty")
        _require(all(isinstance(label, str) and label for label in self.labels), "every label must be a non-empty text")
        # labels.txt holds one a line
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
        """Number of labels; background is no class."""
        return len(self.labels)

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each output of a model file, in the order of ``OUTPUTS``."""
        rows = self.nms.max_detections
        return dict(zip(OUTPUTS, [(1, rows, 4), (1, rows), (1, rows), (1,)], strict=True))

    def record(self) -> dict[str, Any]:
        """The fields as JSON values, from which ``decode`` makes the spec."""
        return {**dataclasses.asdict(self), "detector_options": self.detector_options.to_json()}

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values, with ``schema_version`` and the outputs' conventions spelled out."""
        values = self.record()
        if not self.backbone_options:  # as in files from before there were any
            del values["backbone_options"]
        if self.origin is None:
            del values["origin"]
        if self.input.resize == "stretch":  # nothing is padded; as in files from before anything was
            del values["input"]["padding"], values["input"]["placement"]
        return {"schema_version": SCHEMA_VERSION, **values, "outputs": dict(OUTPUTS)}

    @classmethod
    def from_json(
        cls, values: Any, source: str, beside: Collection[str] = (), older_sampling: Sampling = "bilinear"
    ) -> "ModelSpec":
        """Read what ``to_json`` wrote.

        Args:
            values: decoded JSON.
            source: the file that it came from, for messages.
            beside: names of fields that are not of the spec and are left to the caller.
            older_sampling: of files from before ``InputSpec.sampling``.

        Raises:
            UserError: a field is missing, unknown or of the wrong kind, or the schema is newer than this code.
        """
        if not isinstance(values, dict) or "schema_version" not in values:
            raise UserError(f"{source}: not a mobiledet model description (no schema_version)")
        version = values["schema_version"]
        if version != SCHEMA_VERSION or type(version) is not int:
            raise UserError(
                f"{source}: schema version {str(version)[:20]} is not {SCHEMA_VERSION}; use the matching mobiledet"
            )
        if values.get("outputs", OUTPUTS) != OUTPUTS:
            raise UserError(f"{source}: its outputs are none that this mobiledet knows; export it again")
        own = {name: value for name, value in values.items() if name not in ("schema_version", "outputs", *beside)}
        own = {"backbone_options": {}, "origin": None, **own}  # which files from before do not have
        if isinstance(own.get("input"), dict):
            own["input"] = {"sampling": older_sampling, **own["input"]}
        try:
            spec: ModelSpec = decode(cls, own, filled=(InputSpec, NmsSpec, TrainingInfo))
        except ValueError as error:
            raise UserError(f"{source}: {error}") from error
        return spec


def image_sides(size: int | str) -> tuple[int, int]:
    """Height and width, in pixels, of an image size as people write it: one side of a square, or 192x320.

    Raises:
        ValueError: it is neither.
    """
    words = str(size).lower().replace("×", "x").split("x")
    if not 1 <= len(words) <= 2 or not all(word.strip().isdecimal() for word in words):
        raise ValueError("give one side in pixels, or height and width, such as 192x320")
    return int(words[0]), int(words[-1])


def sides_text(height: int, width: int) -> str:
    """The shortest text that ``image_sides`` reads: 320, or 192x320."""
    return f"{height}" if height == width else f"{height}x{width}"


def read_json(path: Any, most_bytes: int | None = None) -> Any:
    """Decode a JSON file in UTF-8, with or without a byte order mark, or in UTF-16.

    Args:
        path: the file.
        most_bytes: that it may have; None for any number, as annotation files of large data sets need.

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
        raise UserError(f"{path} does not fit into the memory of this machine") from error
