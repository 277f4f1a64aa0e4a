"""The contract of a detector: batches of fixed-size tensors in, losses or raw outputs out."""

from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from mobiledet.backbones import Backbone
from mobiledet.detections import Detections
from mobiledet.placement import Placement
from mobiledet.spec import NmsSpec


class Targets(NamedTuple):
    """Ground truth of a batch.

    Attributes:
        boxes_xyxy: N x M x 4 pixels of the input image; padding rows are arbitrary.
        labels: N x M int64, contiguous classes 0..C-1; -1 marks padding.
    """

    boxes_xyxy: Tensor
    labels: Tensor


class RawOutputs(NamedTuple):
    """What the head of a dense detector gives.

    Attributes:
        class_logits: N x A x L, L as the loss defines it.
        box_deltas: N x A x 4, offsets from the anchors (``ops.box_coder``).
    """

    class_logits: Tensor
    box_deltas: Tensor


class TwoStageOutputs(NamedTuple):
    """What a detector with proposals gives: P of them for each image, best first, those that are missing empty.

    Attributes:
        class_logits: N x P x (C + 1), background first.
        box_deltas: N x P x 4, or N x P x 4C with a box for each class; offsets from the proposals.
        proposals: N x P x 4 xyxy in 0..1.
        objectness: N x A x 1 logits of the first stage's anchors.
        anchor_deltas: N x A x 4, offsets from the anchors.
    """

    class_logits: Tensor
    box_deltas: Tensor
    proposals: Tensor
    objectness: Tensor
    anchor_deltas: Tensor


class ImageDetections(NamedTuple):
    """Detections of one image, best first: K x 4 xyxy pixels of the input image, K scores, K labels."""

    boxes_xyxy: Tensor
    scores: Tensor
    labels: Tensor

    def to_numpy(self) -> Detections:
        """The same without torch."""
        boxes, scores, labels = (tensor.cpu().numpy() for tensor in self)
        return Detections(boxes, scores, labels)

    def to_picture(self, placement: Placement) -> Detections:
        """Boxes in pixels of the picture that lies in the input, cut to it."""
        found = self.to_numpy()
        whole = np.array([placement.input_width, placement.input_height] * 2, np.float32)
        fractions = Detections(found.boxes_xyxy / whole, found.scores, found.labels)
        return placement.visible(placement.to_picture(fractions))


class StaticDetections(NamedTuple):
    """Detections of one image in constant shapes, as a model file gives them; K rows, padding rows are zero.

    Attributes:
        boxes: 1 x K x 4, (ymin, xmin, ymax, xmax) in 0..1.
        classes: 1 x K, class indices as floats.
        scores: 1 x K, falling.
        count: 1, the number of valid rows as a float.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    count: Tensor  # type: ignore[assignment]  # hides tuple.count, which nobody calls


class StaticCandidates(NamedTuple):
    """What enters suppression, in constant shapes: K (box, class) pairs, best first.

    Attributes:
        boxes_xyxy: K x 4 in 0..1.
        labels: K, class indices as floats.
        scores: K.
    """

    boxes_xyxy: Tensor
    labels: Tensor
    scores: Tensor


class NamedTensors(Protocol):
    """A NamedTuple of tensors."""

    def _asdict(self) -> dict[str, Any]: ...


Raw = TypeVar("Raw", bound=NamedTensors)


class Detector(nn.Module, Generic[Raw]):
    """Base of all detectors.

    ``forward(images, targets)`` takes N x 3 x H x W normalised images of the size the detector was built for. With
    targets it returns a dict of scalar losses, without them the raw outputs, a NamedTuple of tensors.

    Attributes:
        backbone: gives the feature maps.
        training_parts: names of the modules that only training has. A detector is built without them, and a checkpoint
            need not have their tensors.
    """

    backbone: Backbone
    training_parts: tuple[str, ...] = ()

    @property
    def finest_stride(self) -> int:
        """Pixels of the input between neighbouring cells of the finest level."""
        return self.backbone.feature_info[0].stride

    def add_training_parts(self) -> None:
        """Make what only training has, with random weights."""

    def start_epoch(self, epoch: int) -> None:
        """Be told the epoch that begins, counted from 0, by whoever trains."""

    def is_training_part(self, tensor: str) -> bool:
        """Whether a name of the state dict belongs to what only training has."""
        return tensor.partition(".")[0] in self.training_parts

    def forward_static(self, image: Tensor) -> Raw:
        """What ``forward`` gives for a batch of one, in constant shapes and operations that every exporter takes.

        Parts that cannot be computed in 16 bits are modules with ``PostProcess`` in their name.
        """
        raw: Raw = self(image)
        return raw

    def comparable(self, raw: Raw) -> dict[str, Tensor]:
        """The raw outputs, by name, whose places do not depend on a ranking: another runtime must give their values
        at the same places."""
        return raw._asdict()

    def postprocess(self, raw: Raw, nms: NmsSpec) -> list[ImageDetections]:
        """Detections of each image of the batch."""
        raise NotImplementedError

    def candidates_static(self, raw: Raw, nms: NmsSpec) -> StaticCandidates:
        """What ``postprocess`` suppresses, for a batch of one, in constant shapes and operations that every exporter
        takes; for runtimes that bring a suppression of their own."""
        raise NotImplementedError

    def postprocess_static(self, raw: Raw, nms: NmsSpec) -> StaticDetections:
        """The same detections for a batch of one, in constant shapes and operations that every exporter takes."""
        raise NotImplementedError
