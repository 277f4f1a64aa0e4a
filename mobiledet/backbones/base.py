"""The interface of backbones: named feature maps with declared channels and strides, and the paper's classifier."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor, nn

FINEST_STRIDE = 8  # of the feature maps that a backbone returns


class FeatureInfo(NamedTuple):
    """A feature map of a backbone.

    Attributes:
        name: name of the stage in the paper.
        channels: C of the N x C x H x W map.
        stride: stride in pixels of the input.
    """

    name: str
    channels: int
    stride: int


class Published(NamedTuple):
    """Published figures of a classifier on ImageNet at 224 x 224; None if the paper does not give them.

    Attributes:
        top1: accuracy in percent.
        macs_m: multiply-adds in millions.
        parameters_m: parameters in millions.
    """

    top1: float | None
    macs_m: float | None
    parameters_m: float | None = None


class Backbone(nn.Module):
    """Base of all backbones.

    ``forward`` takes N x 3 x H x W normalised images and returns a map for each entry of ``feature_info``, finest
    first. The sides of a map are H and W divided by its stride, rounded up.
    """

    feature_info: tuple[FeatureInfo, ...]
    published: Published | None = None
    built_with: Mapping[str, Any] = MappingProxyType({})  # options, see ``variants.BACKBONE_OPTIONS``

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W normalised images to the maps of ``feature_info``, finest first."""
        raise NotImplementedError

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Check that the maps for an image size (height, width) have the declared strides.

        Raises:
            UserError: they do not; the message says which sizes are supported.
        """

    @property
    def ssd_info(self) -> tuple[FeatureInfo, ...]:
        """The maps of ``ssd_features``, at strides 16 and 32."""
        return self.feature_info[-2:]

    def ssd_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps that SSDLite predicts from; a subclass may use others than the outputs of the stages, as its paper
        does."""
        return self(images)[-2:]

    def ssd_last_layer(self) -> tuple[nn.Module, int]:
        """A new layer that SSDLite applies to the last of those maps, and its output channels; by default none."""
        return nn.Identity(), self.ssd_info[-1].channels

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The paper's layers from the last feature map to N x num_classes logits."""
        raise NotImplementedError

    def head_tensors(self) -> frozenset[str]:
        """Names of the head's tensors in the state dict of the whole ``Classifier``."""
        return frozenset(f"head.{name}" for name in self.classifier_head(1).state_dict())


class Stage(NamedTuple):
    """A part of a backbone whose blocks have the same resolution.

    Attributes:
        name: name in the paper, or position in the paper's table.
        channels: output channels.
        stride: output stride in pixels of the input.
        layers: layers from the output of the stage before.
    """

    name: str
    channels: int
    stride: int
    layers: nn.Module


class StagedBackbone(Backbone):
    """A stem followed by stages; the last stage at each of the strides 8, 16 and 32 gives a feature map.

    Args:
        stem: the first layers.
        stages: the stages, finest first.
        pool: pooling layer between stem and stages; None for none.
        published: published figures of this network.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[Stage],
        pool: nn.Module | None = None,
        published: Published | None = None,
    ) -> None:
        super().__init__()
        self.published = published
        self.stem = stem
        self.pool = nn.Identity() if pool is None else pool
        self.stages = nn.ModuleList(stage.layers for stage in stages)
        last_of_stride = {stage.stride: index for index, stage in enumerate(stages) if stage.stride >= FINEST_STRIDE}
        self.is_feature = [index in last_of_stride.values() for index in range(len(stages))]
        self.feature_info = tuple(
            FeatureInfo(stages[index].name, stages[index].channels, stride) for stride, index in last_of_stride.items()
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See ``Backbone.forward``."""
        x = self.pool(self.stem(images))
        features = []
        for stage, is_feature in zip(self.stages, self.is_feature, strict=True):
            x = stage(x)
            if is_feature:
                features.append(x)
        return tuple(features)


class Classifier(nn.Module):
    """A backbone with the classifier head of its paper: from N x 3 x H x W images to N x num_classes logits."""

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = backbone.classifier_head(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """N x 3 x H x W normalised images to N x num_classes logits."""
        logits: Tensor = self.head(self.backbone(images)[-1])
        return logits


def pooled_classifier(channels: int, num_classes: int) -> tuple[nn.Module, ...]:
    """The classifier head of most papers: global average pooling and a fully connected layer.

    Dropout, which some papers add for training the classifier, is left out.
    """
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
