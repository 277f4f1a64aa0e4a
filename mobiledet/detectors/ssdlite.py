"""SSDLite: SSD (arXiv:1512.02325) with depthwise separable prediction layers (arXiv:1801.04381, section 6.2).

``ssdlite`` is the variant of the papers: strides 16 and 32 of the backbone, four coarser levels, SSD's anchors and
loss. ``ssdlite_fpn`` predicts from a small feature pyramid that starts at stride 8, which small objects need, with one
head shared by all levels.

With options ``ssdlite`` becomes the networks of TensorFlow's detection zoo: ``layers="full"`` is SSD, with full 3x3
convolutions between the levels and 1x1 convolutions as head; ``padding="same"`` pads as TensorFlow does, and
``clip_last`` applies non-maximum suppression before boxes are clipped to the image.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mobiledet.backbones import Backbone
from mobiledet.detectors.dense import DenseDetector, require_multiples
from mobiledet.detectors.fpn import FeaturePyramid
from mobiledet.detectors.heads import PyramidHead, SSDLiteHead
from mobiledet.detectors.losses import build_loss
from mobiledet.errors import UserError
from mobiledet.layers import ConvNormAct, NormLayer, ReLU6, depthwise_separable, pad_as_tensorflow
from mobiledet.ops.anchors import AnchorSizes, square_anchor_sizes, ssd_anchor_sizes
from mobiledet.options import SsdLiteFpnOptions, SsdLiteOptions

EXTRA_CHANNELS = (512, 256, 256, 128)  # channels of the levels beyond stride 32, as in the MobileNet papers' SSDLite
LEVELS = 2 + len(EXTRA_CHANNELS)
PYRAMID_CHANNELS = 96
PYRAMID_LEVELS = 4


ssdlite_norm: NormLayer = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


class ExtraLevels(nn.Module):
    """SSDLite's levels: the backbone's strides 16 and 32, then coarser maps.

    Each coarser map comes from a 1x1 convolution to half of its channels, a 3x3 depthwise convolution of stride 2 and
    a 1x1 convolution; without ``separable`` a full 3x3 convolution replaces the last two.

    Attributes:
        channels: channels of each level.
    """

    def __init__(self, backbone: Backbone, norm_layer: NormLayer, separable: bool = True) -> None:
        super().__init__()
        self.last, in_channels = backbone.ssd_last_layer()
        self.channels = (backbone.ssd_info[0].channels, in_channels, *EXTRA_CHANNELS)
        self.extra = nn.ModuleList()
        for channels in EXTRA_CHANNELS:
            reduced = channels // 2
            reduce = ConvNormAct(in_channels, reduced, norm_layer=norm_layer, activation=ReLU6)
            halve: nn.Sequential = (
                depthwise_separable(reduced, channels, 3, 2, norm_layer, ReLU6)
                if separable
                else nn.Sequential(ConvNormAct(reduced, channels, 3, 2, norm_layer=norm_layer, activation=ReLU6))
            )
            self.extra.append(nn.Sequential(reduce, *halve))
            in_channels = channels

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The maps at strides 16 and 32 to those of all levels."""
        fine, coarse = features
        maps = [fine, self.last(coarse)]
        for extra in self.extra:
            maps.append(extra(maps[-1]))
        return maps


class SSDLite(DenseDetector):
    """The variant of the papers, which uses the backbone's ``ssd_features``."""

    @property
    def finest_stride(self) -> int:
        """Stride of the finest feature level, in pixels of the input."""
        return self.backbone.ssd_info[0].stride

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """See ``Backbone.ssd_features``."""
        return self.backbone.ssd_features(images)


def ssdlite(
    backbone: Backbone,
    num_classes: int,
    image_size: tuple[int, int],
    options: SsdLiteOptions,
) -> DenseDetector:
    """SSDLite with six levels from stride 16; by default SSD's anchors and loss. Arguments as in ``build_detector``."""
    objective = build_loss(options.loss, options.unused_logits)
    sizes = options.anchors or ssd_anchor_sizes(LEVELS)
    _require_levels(sizes, LEVELS)
    separable = options.layers == "separable"
    neck = ExtraLevels(backbone, ssdlite_norm, separable)
    if options.padding == "same":
        pad_as_tensorflow(neck)
    logits = objective.num_logits(num_classes)
    head = SSDLiteHead(neck.channels, [len(level) for level in sizes], logits, ssdlite_norm, separable)
    stride = backbone.ssd_info[0].stride
    return SSDLite(backbone, neck, head, image_size, stride, sizes, objective, options.clip_last)


def ssdlite_fpn(
    backbone: Backbone,
    num_classes: int,
    image_size: tuple[int, int],
    options: SsdLiteFpnOptions,
) -> DenseDetector:
    """SSDLite with four levels from stride 8; by default one square anchor per cell and the focal loss. Arguments as in
    ``build_detector``."""
    require_multiples("ssdlite_fpn", image_size, backbone.feature_info[-1].stride)
    objective = build_loss(options.loss)
    finest_stride = backbone.feature_info[0].stride
    sizes = options.anchors or square_anchor_sizes(PYRAMID_LEVELS, finest_stride, image_size)
    _require_levels(sizes, PYRAMID_LEVELS)
    if len({len(level) for level in sizes}) != 1:
        raise UserError("ssdlite_fpn needs the same number of anchors on every level, because the levels share a head")
    extra = PYRAMID_LEVELS - len(backbone.feature_info)
    neck = FeaturePyramid(backbone.feature_info, PYRAMID_CHANNELS, extra, nn.BatchNorm2d)
    logits = objective.num_logits(num_classes)
    head = PyramidHead(PYRAMID_CHANNELS, PYRAMID_LEVELS, len(sizes[0]), logits, nn.BatchNorm2d)
    return DenseDetector(backbone, neck, head, image_size, finest_stride, sizes, objective)


def _require_levels(sizes: AnchorSizes, levels: int) -> None:
    if len(sizes) != levels:
        raise UserError(f"anchors are given for {len(sizes)} levels, but this detector has {levels}")
