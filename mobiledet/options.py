"""What can be set of each detector: frozen records, as JSON in a spec and as words of a command line. No torch."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from mobiledet.errors import UserError
from mobiledet.records import Positive, Range, Share, decode

Layers = Literal["light", "full"]
Number = Annotated[int, Range(1, 1 << 20)]
Channels = Annotated[int, Range(1, 4096)]
Overlap = Annotated[float, Range(0.001, 1)]
# for each feature level, the (width, height) of its anchors in fractions of the image's sides
Anchors = Annotated[
    tuple[Annotated[tuple[tuple[Positive, Positive], ...], Range(1, 256)], ...],
    Range(1, 32),
]


@dataclass(frozen=True)
class DetectorOptions:
    """What a detector takes beyond backbone, classes and image size; this one takes nothing."""

    @classmethod
    def read(cls, values: Any, where: str = "") -> Self:
        """Read what ``to_json`` wrote; what is not named keeps its default.

        Args:
            values: decoded JSON.
            where: path of the values, for messages.

        Raises:
            ValueError: an option is unknown or of another type or range; the message begins with its path.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        odd = values.keys() - set(names) if isinstance(values, dict) else ()
        if odd:
            known = f"there are {', '.join(names)}" if names else "this detector has none"
            path = f"{where}.{min(odd)}".lstrip(".")[:100]
            raise ValueError(f"{path} is unknown; {known}")
        options: Self = decode(cls, values, where, filled=(cls,))
        return options

    def to_json(self) -> dict[str, Any]:
        """The options that differ from the defaults, as JSON values."""
        fields = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return _plain({field.name: value for field, value in fields if value != field.default})

    def changed(self, **values: Any) -> Self:
        """The same with other values, checked.

        Raises:
            ValueError: as in ``read``.
        """
        return self.read(_plain({**self.to_json(), **values}))

    @property
    def words(self) -> tuple[str, ...]:
        """As ``--detector-options`` and ``TrainConfig.detector_options`` take them."""
        return option_words(self.to_json())


NO_OPTIONS = DetectorOptions()


@dataclass(frozen=True)
class SsdLiteFpnOptions(DetectorOptions):
    """Of ``ssdlite_fpn``."""

    anchors: Anchors | None = None
    """Of each level from the finest on, [width, height] in fractions of the image's sides, as many on every level; by
    default one square a cell. `--anchors fit` finds some."""
    loss: Literal["focal", "hard_negative", "sigmoid_hard_negative"] = "focal"
    """What the classes are taught by: the focal loss, or SSD's with a softmax or with sigmoids."""


@dataclass(frozen=True)
class SsdLiteOptions(DetectorOptions):
    """Of ``ssdlite``."""

    anchors: Anchors | None = None
    """Of each level from the finest on, [width, height] in fractions of the image's sides; by default SSD's. `--anchors
    fit` finds some."""
    loss: Literal["hard_negative", "sigmoid_hard_negative", "focal"] = "hard_negative"
    """What the classes are taught by: SSD's loss with a softmax or with sigmoids, or the focal loss."""
    unused_logits: Annotated[int, Range(0, 10_000)] = 0
    """Logits behind those of the classes that name none, as published weights for COCO have."""
    layers: Literal["separable", "full"] = "separable"
    """Depthwise separable convolutions between the levels and in the head, or the full ones of SSD before SSDLite."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """Of the steps between the levels: that of PyTorch or that of TensorFlow."""
    clip_last: bool = False
    """Suppress boxes before they are clipped to the image, as TensorFlow's detection zoo does."""


@dataclass(frozen=True)
class FasterRcnnOptions(DetectorOptions):
    """Of ``faster_rcnn``."""

    channels: Channels = 96
    """Of the maps that proposals and regions are taken from."""
    layers: Layers = "light"
    """light: depthwise separable convolutions; full: those of the papers, as torchvision builds them."""
    anchors: Anchors | None = None
    """Of each level from the finest on, [width, height] in fractions of the image's sides, as many on every level; by
    default some scales in three aspect ratios. `--anchors fit` finds some."""
    anchor_offset: Share = 0.5
    """Where in its cell an anchor has its centre, in cells; torchvision's have 0, the corner."""
    resolution: Annotated[int, Range(1, 64)] = 7
    """Bins along each side of a region."""
    sampling_ratio: Annotated[int, Range(1, 16)] = 2
    """Samples of a bin along each side."""
    # half of the pyramid paper's, for images of half the size: coarse levels would hardly serve else
    canonical_side: Annotated[int, Range(1, 4096)] = 112
    """Pixels: from a region of this side on the level of stride 16 serves, from its double on the next, and so on."""
    box_head: Literal["separable", "two_layer"] = "separable"
    """Of the second stage: depthwise separable convolutions, or two fully connected layers."""
    hidden: Channels = 256
    """Numbers that the second stage makes of a region."""
    class_agnostic: bool = True
    """Whether all classes share one box of a region."""
    unused_logits: Annotated[int, Range(0, 10_000)] = 0
    """Logits behind those of the classes that name none, as published weights for COCO have."""
    candidates: Number = 300
    """Anchors of a level that may become proposals, the best ones."""
    proposals: Number = 100
    """Proposals of an image that the second stage looks at."""
    proposal_iou: Overlap = 0.7
    """A proposal that overlaps a better one of its level by more is dropped."""
    proposal_score: Share = 0.0
    """Proposals below it are dropped."""
    train_candidates: Number = 600
    """The same as candidates, in training."""
    train_proposals: Number = 300
    """The same as proposals, in training."""
    rpn_foreground_iou: Overlap = 0.7
    """Overlap with a true box from which on an anchor is an object."""
    rpn_background_iou: Overlap = 0.3
    """Overlap below which an anchor is background."""
    rpn_samples: Number = 256
    """Anchors of an image that the first stage learns from."""
    rpn_positives: Overlap = 0.5
    """Largest share of objects among them."""
    foreground_iou: Overlap = 0.5
    """Overlap with a true box from which on a proposal is an object."""
    samples: Number = 64
    """Proposals of an image that the second stage learns from."""
    positives: Overlap = 0.25
    """Largest share of objects among them."""


@dataclass(frozen=True)
class FasterRcnnFpnOptions(FasterRcnnOptions):
    """Of ``faster_rcnn_fpn``."""

    anchor_sides: Annotated[tuple[Positive, ...], Range(0, 256)] = ()
    """In pixels, the same on every level, in three aspect ratios; in place of anchors."""


@dataclass(frozen=True)
class NanoDetPlusOptions(DetectorOptions):
    """Of ``nanodet_plus``."""

    channels: Annotated[int, Range(16, 4096)] = 96
    """Of neck and head, a multiple of 16: 96 for NanoDet-Plus-m, 128 for the 1.5x form."""
    activation: Literal["leaky_relu", "relu", "relu6"] = "leaky_relu"
    """Of neck and head."""
    guidance: bool = True
    """Whether training has the auxiliary head, whose predictions choose what the detector learns; without it a step
    costs a fraction."""
    detach_epoch: Annotated[int, Range(0, 1_000_000)] = 10
    """The epoch, counted from 0, from which on the auxiliary head keeps its gradient to itself."""

    def __post_init__(self) -> None:
        if self.channels % 16:
            raise ValueError(f"channels {self.channels} is not a multiple of 16")


@dataclass(frozen=True)
class OtherOptions(DetectorOptions):
    """Of a detector of another package, as JSON values: a spec is read without loading the package."""

    values: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The values as they are."""
        return dict(self.values)


# of the detectors of this project, by their keys in ``DETECTORS``
OPTIONS: dict[str, type[DetectorOptions]] = {
    "ssdlite": SsdLiteOptions,
    "ssdlite_fpn": SsdLiteFpnOptions,
    "faster_rcnn": FasterRcnnOptions,
    "faster_rcnn_fpn": FasterRcnnFpnOptions,
    "nanodet_plus": NanoDetPlusOptions,
}


def options_of(detector: str, values: Any, where: str) -> DetectorOptions:
    """The options of a detector, checked if it is one of this project.

    Args:
        detector: its key.
        values: decoded JSON.
        where: path of the values, for messages.

    Raises:
        ValueError: as in ``DetectorOptions.read``.
    """
    if detector in OPTIONS:
        return OPTIONS[detector].read(values, where)
    return OtherOptions(decode(Mapping[str, Any], values, where))


def option_words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Options as words that ``read_words`` takes."""
    return tuple(f"{name}={json.dumps(value)}" for name, value in options.items())


def read_words(words: Sequence[str], option: str) -> dict[str, Any]:
    """The options that words name; what is no JSON is a text, as shells take quotes away.

    Args:
        words: NAME=VALUE each.
        option: of the command line, for messages.

    Raises:
        UserError: a word has no name or no value, or a name comes twice.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        if not name or not is_given:
            raise UserError(f'{option} {word!r} is not NAME=VALUE, such as layers="full"')
        if name in options:
            raise UserError(f"{option} names {name} twice")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Lists in place of tuples."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
