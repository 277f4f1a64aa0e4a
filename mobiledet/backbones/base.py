"""What every backbone offers: named feature maps with declared channels and strides, and its paper's classifier."""

from typing import NamedTuple

from torch import Tensor, nn


class FeatureInfo(NamedTuple):
    """A feature map that a backbone gives.

    Attributes:
        name: of the stage in the paper.
        channels: C of the N x C x H x W map.
        stride: input pixels for one step of the map.
    """

    name: str
    channels: int
    stride: int


class Backbone(nn.Module):
    """Base of all backbones.

    ``forward`` takes N x 3 x H x W normalised images, H and W multiples of 32, and returns one map for each entry of
    ``feature_info``, finest first.
    """

    feature_info: tuple[FeatureInfo, ...]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The paper's layers from the last feature map to N x num_classes logits."""
        raise NotImplementedError


class Classifier(nn.Module):
    """A backbone with its paper's head, as in the published tables: N x 3 x H x W to N x num_classes logits."""

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = backbone.classifier_head(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images)[-1])
        return logits
