"""Options of each detector: frozen dataclasses, stored as JSON in a spec and given as NAME=VALUE words on a command
line. Imports no torch."""

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
    """Options of a detector besides backbone, classes and image size. The base class has none."""

    @classmethod
    def read(cls, values: Any, where: str = "") -> Self:
        """Read the result of ``to_json``; options that are not named keep their defaults.

        Args:
            values: decoded JSON.
            where: JSON path of the values, for error messages.

        Raises:
            ValueError: an option is unknown, or its type or range is wrong; the message begins with its path.
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
        """A copy with other values, which are checked.

        Raises:
            ValueError: as in ``read``.
        """
        return self.read(_plain({**self.to_json(), **values}))

    @property
    def words(self) -> tuple[str, ...]:
        """The options in the form of ``--detector-options`` and ``TrainConfig.detector_options``: NAME=VALUE each."""
        return option_words(self.to_json())


NO_OPTIONS = DetectorOptions()


@dataclass(frozen=True)
class SsdLiteFpnOptions(DetectorOptions):
    """Options of ``ssdlite_fpn``."""

    anchors: Anchors | None = None
    """Anchors of each feature level, from the finest to the coarsest: a list of [width, height] in fractions of the
    image's sides, equally many on every level. By default one square per cell; `--anchors fit` computes them from the
    data."""
    loss: Literal["focal", "hard_negative", "sigmoid_hard_negative"] = "focal"
    """Classification loss: the focal loss, or SSD's loss with hard negative mining on a softmax or on sigmoids."""


@dataclass(frozen=True)
class SsdLiteOptions(DetectorOptions):
    """Options of ``ssdlite``."""

    anchors: Anchors | None = None
    """Anchors of each feature level, from the finest to the coarsest: a list of [width, height] in fractions of the
    image's sides. By default SSD's; `--anchors fit` computes them from the data."""
    loss: Literal["hard_negative", "sigmoid_hard_negative", "focal"] = "hard_negative"
    """Classification loss: SSD's loss with hard negative mining on a softmax or on sigmoids, or the focal loss."""
    unused_logits: Annotated[int, Range(0, 10_000)] = 0
    """Number of logits after those of the classes that belong to no class, as in published weights for COCO."""
    layers: Literal["separable", "full"] = "separable"
    """Convolutions between the feature levels and in the head: depthwise separable ones as in SSDLite, or full ones as
    in SSD."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """Padding of the strided convolutions between the feature levels: symmetric as in PyTorch, or TensorFlow's SAME."""
    clip_last: bool = False
    """Apply non-maximum suppression before boxes are clipped to the image, as TensorFlow's detection zoo does."""


@dataclass(frozen=True)
class FasterRcnnOptions(DetectorOptions):
    """Options of ``faster_rcnn``."""

    channels: Channels = 96
    """Channels of the feature maps that proposals and region features are computed from."""
    layers: Layers = "light"
    """Convolutions of neck and first stage. light: depthwise separable; full: those of the papers, as in
    torchvision."""
    anchors: Anchors | None = None
    """Anchors of each feature level, from the finest to the coarsest: a list of [width, height] in fractions of the
    image's sides, equally many on every level. By default several scales in three aspect ratios; `--anchors fit`
    computes them from the data."""
    anchor_offset: Share = 0.5
    """Position of an anchor's centre in its cell, as a fraction of the cell; torchvision uses 0, the corner."""
    resolution: Annotated[int, Range(1, 64)] = 7
    """RoIAlign: number of bins along each side of a region."""
    sampling_ratio: Annotated[int, Range(1, 16)] = 2
    """RoIAlign: number of samples along each side of a bin."""
    # half of the FPN paper's 224, for images of half the size: otherwise coarse levels would hardly be used
    canonical_side: Annotated[int, Range(1, 4096)] = 112
    """Side in pixels of the smallest regions that are pooled from the level of stride 16. Each doubling moves a region
    to the next coarser level."""
    box_head: Literal["separable", "two_layer"] = "separable"
    """Head of the second stage: depthwise separable convolutions, or two fully connected layers."""
    hidden: Channels = 256
    """Number of features that the second stage computes for a region."""
    class_agnostic: bool = True
    """Whether the second stage predicts one box per region for all classes, instead of one per class."""
    unused_logits: Annotated[int, Range(0, 10_000)] = 0
    """Number of logits after those of the classes that belong to no class, as in published weights for COCO."""
    candidates: Number = 300
    """Number of highest-scoring anchors per feature level that may become proposals."""
    proposals: Number = 100
    """Number of proposals per image that the second stage classifies."""
    proposal_iou: Overlap = 0.7
    """IoU threshold of non-maximum suppression among the proposals of a level."""
    proposal_score: Share = 0.0
    """Lowest score of a proposal."""
    train_candidates: Number = 600
    """The same as candidates, in training."""
    train_proposals: Number = 300
    """The same as proposals, in training."""
    rpn_foreground_iou: Overlap = 0.7
    """First stage: lowest IoU with a ground-truth box at which an anchor is an object."""
    rpn_background_iou: Overlap = 0.3
    """First stage: IoU with every ground-truth box below which an anchor is background."""
    rpn_samples: Number = 256
    """First stage: number of anchors per image that the loss samples."""
    rpn_positives: Overlap = 0.5
    """First stage: largest fraction of objects among the sampled anchors."""
    foreground_iou: Overlap = 0.5
    """Second stage: lowest IoU with a ground-truth box at which a proposal is an object."""
    samples: Number = 64
    """Second stage: number of proposals per image that the loss samples."""
    positives: Overlap = 0.25
    """Second stage: largest fraction of objects among the sampled proposals."""


@dataclass(frozen=True)
class FasterRcnnFpnOptions(FasterRcnnOptions):
    """Options of ``faster_rcnn_fpn``."""

    anchor_sides: Annotated[tuple[Positive, ...], Range(0, 256)] = ()
    """Sides of the anchors in pixels, the same on every level, in three aspect ratios each; replaces anchors."""


@dataclass(frozen=True)
class NanoDetPlusOptions(DetectorOptions):
    """Options of ``nanodet_plus``."""

    channels: Annotated[int, Range(16, 4096)] = 96
    """Channels of neck and head, a multiple of 16: 96 in NanoDet-Plus-m, 128 in NanoDet-Plus-m-1.5x."""
    activation: Literal["leaky_relu", "relu", "relu6"] = "leaky_relu"
    """Activation function of neck and head."""
    guidance: bool = True
    """Whether training uses the auxiliary head, whose predictions assign the targets of the detector; without it a
    step costs a fraction."""
    detach_epoch: Annotated[int, Range(0, 1_000_000)] = 10
    """Epoch, counted from 0, from which the auxiliary head passes no gradient to backbone and neck."""

    def __post_init__(self) -> None:
        if self.channels % 16:
            raise ValueError(f"channels {self.channels} is not a multiple of 16")


@dataclass(frozen=True)
class OtherOptions(DetectorOptions):
    """Options of a detector from another package, as JSON values, so that reading a spec need not load the package."""

    values: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The values, unchanged."""
        return dict(self.values)


# option classes of this project's detectors, by their keys in ``DETECTORS``
OPTIONS: dict[str, type[DetectorOptions]] = {
    "ssdlite": SsdLiteOptions,
    "ssdlite_fpn": SsdLiteFpnOptions,
    "faster_rcnn": FasterRcnnOptions,
    "faster_rcnn_fpn": FasterRcnnFpnOptions,
    "nanodet_plus": NanoDetPlusOptions,
}


def options_of(detector: str, values: Any, where: str) -> DetectorOptions:
    """The options of a detector, checked if the detector is one of this project's.

    Args:
        detector: its key in ``DETECTORS``.
        values: decoded JSON.
        where: JSON path of the values, for error messages.

    Raises:
        ValueError: as in ``DetectorOptions.read``.
    """
    if detector in OPTIONS:
        return OPTIONS[detector].read(values, where)
    return OtherOptions(decode(Mapping[str, Any], values, where))


def option_words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Options as NAME=VALUE words, which ``read_words`` reads."""
    return tuple(f"{name}={json.dumps(value)}" for name, value in options.items())


def read_words(words: Sequence[str], option: str) -> dict[str, Any]:
    """Read options from NAME=VALUE words. A value that is not JSON is a string, because shells remove quotes.

    Args:
        words: NAME=VALUE each.
        option: the command line's option that they were given to, for error messages.

    Raises:
        UserError: a word has no name or no value, or a name is repeated.
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
    """The values as JSON would hold them: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain
