"""The interface of detectors: from batches of images of one size to losses or raw outputs."""

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
    """Outputs of the head of a dense detector.

    Attributes:
        class_logits: N x A x L, where the loss defines L.
        box_deltas: N x A x 4, offsets from the anchors (``ops.box_coder``).
    """

    class_logits: Tensor
    box_deltas: Tensor


class TwoStageOutputs(NamedTuple):
    """Outputs of a detector with P proposals for each image, best first; missing proposals are empty boxes.

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
        """The detections as NumPy arrays."""
        boxes, scores, labels = (tensor.cpu().numpy() for tensor in self)
        return Detections(boxes, scores, labels)

    def to_image(self, placement: Placement) -> Detections:
        """The detections with boxes in pixels of the image whose placement in the input is given, clipped to it."""
        found = self.to_numpy()
        whole = np.array([placement.input_width, placement.input_height] * 2, np.float32)
        fractions = Detections(found.boxes_xyxy / whole, found.scores, found.labels)
        return placement.visible(placement.to_image(fractions))


class StaticDetections(NamedTuple):
    """Detections of one image in constant shapes, as in a model file; K rows, of which padding rows are zero.

    Attributes:
        boxes: 1 x K x 4, (ymin, xmin, ymax, xmax) in 0..1.
        classes: 1 x K, class indices as floats.
        scores: 1 x K, in descending order.
        count: 1, the number of valid rows as a float.
    """

    boxes: Tensor
    classes: Tensor
    scores: Tensor
    count: Tensor  # type: ignore[assignment]  # hides tuple.count, which is not used


class StaticCandidates(NamedTuple):
    """The candidates for non-maximum suppression in constant shapes: K (box, class) pairs, best first.

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

    ``forward(images, targets)`` takes N x 3 x H x W normalised images of the size that the detector was built for.
    With targets it returns a dict of scalar losses, without them the raw outputs, a NamedTuple of tensors.

    Attributes:
        backbone: computes the feature maps.
        training_parts: names of the modules that are used only in training. A detector is built without them, and a
            checkpoint need not contain their tensors.
    """

    backbone: Backbone
    training_parts: tuple[str, ...] = ()

    @property
    def finest_stride(self) -> int:
        """Stride of the finest feature level, in pixels of the input."""
        return self.backbone.feature_info[0].stride

    def add_training_parts(self) -> None:
        """Add the modules that only training uses, with random weights."""

    def start_epoch(self, epoch: int) -> None:
        """Called by the training loop at the start of each epoch, counted from 0."""

    def is_training_part(self, tensor: str) -> bool:
        """Whether a tensor of the state dict belongs to a module that only training uses."""
        return tensor.partition(".")[0] in self.training_parts

    def forward_static(self, image: Tensor) -> Raw:
        """Like ``forward`` for a batch of one, with constant shapes and only operations that every exporter supports.

        Parts that cannot be computed in 16 bits are modules with ``PostProcess`` in their name.
        """
        raw: Raw = self(image)
        return raw

    def comparable(self, raw: Raw) -> dict[str, Tensor]:
        """The raw outputs, by name, whose order does not depend on a ranking, so that they can be compared with those
        of another runtime value by value."""
        return raw._asdict()

    def postprocess(self, raw: Raw, nms: NmsSpec) -> list[ImageDetections]:
        """Detections of each image of the batch."""
        raise NotImplementedError

    def candidates_static(self, raw: Raw, nms: NmsSpec) -> StaticCandidates:
        """The candidates of ``postprocess`` before non-maximum suppression, for a batch of one, with constant shapes
        and only operations that every exporter supports; for runtimes with their own suppression."""
        raise NotImplementedError

    def postprocess_static(self, raw: Raw, nms: NmsSpec) -> StaticDetections:
        """Like ``postprocess`` for a batch of one, with constant shapes and only operations that every exporter
        supports."""
        raise NotImplementedError
