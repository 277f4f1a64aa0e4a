"""What every backbone offers: named feature maps with declared channels and strides, and its paper's classifier."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor, nn

FINEST_STRIDE = 8  # of the feature maps that a backbone gives


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


class Published(NamedTuple):
    """What a paper says of its classifier on ImageNet at 224 x 224; None where it says nothing.

    Attributes:
        top1: accuracy in percent.
        macs_m: multiply-adds in millions.
        parameters_m: in millions.
    """

    top1: float | None
    macs_m: float | None
    parameters_m: float | None = None


class Backbone(nn.Module):
    """Base of all backbones.

    ``forward`` takes N x 3 x H x W normalised images and returns one map for each entry of ``feature_info``, finest
    first. A map has H and W over its stride, rounded up.
    """

    feature_info: tuple[FeatureInfo, ...]
    published: Published | None = None
    built_with: Mapping[str, Any] = MappingProxyType({})  # options, see ``variants.BACKBONE_OPTIONS``

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Refuse an image size (height, width) for which the maps would not be as promised.

        Raises:
            UserError: says what is needed.
        """

    @property
    def ssd_info(self) -> tuple[FeatureInfo, ...]:
        """The maps of ``ssd_features``, at strides 16 and 32."""
        return self.feature_info[-2:]

    def ssd_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps that SSDLite predicts from, where a paper names others than the outputs of the stages."""
        return self(images)[-2:]

    def ssd_last_layer(self) -> tuple[nn.Module, int]:
        """A new layer that SSDLite puts on the last of those maps, and the channels it gives; by default nothing."""
        return nn.Identity(), self.ssd_info[-1].channels

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The paper's layers from the last feature map to N x num_classes logits."""
        raise NotImplementedError

    def head_tensors(self) -> frozenset[str]:
        """Names of the head's tensors in the state dict of the whole ``Classifier``."""
        return frozenset(f"head.{name}" for name in self.classifier_head(1).state_dict())


class Stage(NamedTuple):
    """A part of a backbone whose blocks work at one resolution.

    Attributes:
        name: in the paper, or its place in the paper's table.
        channels: of its output.
        stride: of its output, input pixels for one step.
        layers: from the stage before.
    """

    name: str
    channels: int
    stride: int
    layers: nn.Module


class StagedBackbone(Backbone):
    """A stem and stages in a row; the last stage at each of the strides 8, 16 and 32 gives a feature map.

    Args:
        stem: from the images.
        stages: finest first.
        pool: between stem and stages.
        published: figures of the paper for this network.
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
        x = self.pool(self.stem(images))
        features = []
        for stage, is_feature in zip(self.stages, self.is_feature, strict=True):
            x = stage(x)
            if is_feature:
                features.append(x)
        return tuple(features)


class Classifier(nn.Module):
    """A backbone with its paper's head, as in the published tables: N x 3 x H x W to N x num_classes logits."""

    def __init__(self, backbone: Backbone, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = backbone.classifier_head(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images)[-1])
        return logits


def pooled_classifier(channels: int, num_classes: int) -> tuple[nn.Module, ...]:
    """The end that most papers share: global average pooling, then a fully connected layer.

    The dropout that some add in front of it, which only the training of a classifier needs, is left out.
    """
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
