"""SSDLite: SSD (arXiv:1512.02325) with depthwise separable prediction layers (arXiv:1801.04381, section 6.2).

``ssdlite`` is the papers' form: strides 16 and 32 of the backbone, four coarser levels, SSD's anchors and loss.
``ssdlite_fpn`` predicts from a small feature pyramid that starts at stride 8, which small objects need, with one head
for all levels.

Options of ``ssdlite`` make the networks of TensorFlow's detection zoo: ``layers="full"`` is SSD before SSDLite, with
full 3x3 convolutions between the levels and 1x1 convolutions for a head; ``padding="same"`` pads as TensorFlow does,
and ``clip_last`` suppresses boxes before they are clipped to the image.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from mobiledet.backbones import Backbone
from mobiledet.detectors.dense import DenseDetector, require_multiples
from mobiledet.detectors.fpn import FeaturePyramid
from mobiledet.detectors.heads import PyramidHead, SSDLiteHead
from mobiledet.detectors.losses import build_loss
from mobiledet.errors import UserError, unknown_name
from mobiledet.layers import ConvNormAct, NormLayer, ReLU6, depthwise_separable, pad_as_tensorflow
from mobiledet.ops.anchors import AnchorSizes, square_anchor_sizes, ssd_anchor_sizes

EXTRA_CHANNELS = (512, 256, 256, 128)  # of the levels beyond stride 32, as in the MobileNet papers' SSDLite
LEVELS = 2 + len(EXTRA_CHANNELS)
PYRAMID_CHANNELS = 96
PYRAMID_LEVELS = 4
LAYERS = ("separable", "full")
PADDINGS = ("symmetric", "same")


ssdlite_norm: NormLayer = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


class ExtraLevels(nn.Module):
    """SSDLite's levels: the backbone's strides 16 and 32, then ever coarser maps.

    Each coarser map comes from a 1x1 convolution to half of its channels, a 3x3 depthwise convolution of stride 2 and
    a 1x1 convolution; a full 3x3 convolution in place of the latter two where the layers are not separable.

    Attributes:
        channels: of each level.
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
        fine, coarse = features
        maps = [fine, self.last(coarse)]
        for extra in self.extra:
            maps.append(extra(maps[-1]))
        return maps


class SSDLite(DenseDetector):
    """The papers' form, which predicts from maps of its own choice."""

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.backbone.ssd_features(images)


def ssdlite(
    backbone: Backbone,
    num_classes: int,
    image_size: tuple[int, int],
    anchors: AnchorSizes | None = None,
    loss: str = "hard_negative",
    norm_layer: NormLayer = ssdlite_norm,
    unused_logits: int = 0,
    layers: str = "separable",
    padding: str = "symmetric",
    clip_last: bool = False,
) -> DenseDetector:
    """Six levels from stride 16; by default SSD's anchors and loss.

    Args:
        backbone, num_classes, image_size: see ``build_detector``.
        anchors: of each level, see ``AnchorSizes``.
        loss: of ``LOSSES``.
        norm_layer: makes the normalisation from a number of channels.
        unused_logits: see ``HardNegativeLoss``.
        layers: of ``LAYERS``.
        padding: of the steps between the levels, of ``PADDINGS``.
        clip_last: see ``DenseDetector``.
    """
    objective = build_loss(loss, unused_logits)
    sizes = anchors or ssd_anchor_sizes(LEVELS)
    _require_levels(sizes, LEVELS)
    if layers not in LAYERS:
        raise unknown_name("kind of layers", layers, LAYERS)
    if padding not in PADDINGS:
        raise unknown_name("padding", padding, PADDINGS)
    separable = layers == "separable"
    neck = ExtraLevels(backbone, norm_layer, separable)
    if padding == "same":
        pad_as_tensorflow(neck)
    logits = objective.num_logits(num_classes)
    head = SSDLiteHead(neck.channels, [len(level) for level in sizes], logits, norm_layer, separable)
    return SSDLite(backbone, neck, head, image_size, backbone.ssd_info[0].stride, sizes, objective, clip_last)


def ssdlite_fpn(
    backbone: Backbone,
    num_classes: int,
    image_size: tuple[int, int],
    anchors: AnchorSizes | None = None,
    loss: str = "focal",
    norm_layer: NormLayer = nn.BatchNorm2d,
) -> DenseDetector:
    """Four levels from stride 8; by default one square anchor a cell and the focal loss."""
    require_multiples("ssdlite_fpn", image_size, backbone.feature_info[-1].stride)
    objective = build_loss(loss)
    finest_stride = backbone.feature_info[0].stride
    sizes = anchors or square_anchor_sizes(PYRAMID_LEVELS, finest_stride, image_size)
    _require_levels(sizes, PYRAMID_LEVELS)
    if len({len(level) for level in sizes}) != 1:
        raise UserError("ssdlite_fpn needs the same number of anchors on every level, because the levels share a head")
    neck = FeaturePyramid(
        backbone.feature_info, PYRAMID_CHANNELS, PYRAMID_LEVELS - len(backbone.feature_info), norm_layer
    )
    head = PyramidHead(PYRAMID_CHANNELS, PYRAMID_LEVELS, len(sizes[0]), objective.num_logits(num_classes), norm_layer)
    return DenseDetector(backbone, neck, head, image_size, finest_stride, sizes, objective)


def _require_levels(sizes: AnchorSizes, levels: int) -> None:
    if len(sizes) != levels:
        raise UserError(f"anchors are given for {len(sizes)} levels, but this detector has {levels}")
