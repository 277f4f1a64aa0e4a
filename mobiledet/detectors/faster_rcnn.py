"""Faster R-CNN (arXiv:1506.01497) for phones.

``faster_rcnn`` is the variant of the MobileNet and ShuffleNet papers, with one feature map of stride 16.
``faster_rcnn_fpn`` detects small objects on finer maps (Feature Pyramid Networks, arXiv:1612.03144). Both have
depthwise separable layers by default; with ``layers="full"`` pyramid and first stage are those of the papers, as in
torchvision.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from mobiledet.backbones import Backbone, FeatureInfo
from mobiledet.detectors.box_heads import BoxHead
from mobiledet.detectors.dense import level_shapes, require_multiples
from mobiledet.detectors.fpn import FeaturePyramid
from mobiledet.detectors.heads import PyramidHead
from mobiledet.detectors.regions import RegionPooling
from mobiledet.detectors.rpn import FullHead
from mobiledet.detectors.two_stage import TwoStageDetector
from mobiledet.errors import UserError
from mobiledet.layers import ConvNormAct, NormLayer, depthwise_separable
from mobiledet.ops.anchors import AnchorSizes, aspect_ratio_anchor_sizes, grid_anchors, pixel_anchor_sizes
from mobiledet.options import FasterRcnnFpnOptions, FasterRcnnOptions

SCALES = (0.08, 0.14, 0.25, 0.45, 0.8)  # sides of anchors in fractions of the image's side
PYRAMID_SCALES = ((0.08, 0.11), (0.16, 0.22), (0.32, 0.45), (0.64, 0.9))  # of each level
ASPECT_RATIOS = (0.5, 1.0, 2.0)
PYRAMID_EXTRA_LEVELS = 1  # levels beyond the backbone's, which only have anchors


class ContextNeck(nn.Module):
    """The map of stride 16 plus the upsampled map of stride 32 as context (ThunderNet, arXiv:1903.11752, section 3.1).

    Unlike in the paper, there is no global context, and a 5x5 depthwise separable convolution follows.
    """

    def __init__(self, feature_info: Sequence[FeatureInfo], channels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        fine, coarse = feature_info[-2:]
        self.fine = ConvNormAct(fine.channels, channels, norm_layer=norm_layer)
        self.coarse = ConvNormAct(coarse.channels, channels, norm_layer=norm_layer)
        self.smooth = depthwise_separable(channels, channels, 5, norm_layer=norm_layer)
        self.enlarge = nn.Upsample(scale_factor=2.0, mode="nearest")

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the backbone to one map at stride 16."""
        fine, coarse = features[-2:]
        context = self.enlarge(self.coarse(coarse))
        return [self.smooth(self.fine(fine) + context)]


class FullPyramid(nn.Module):
    """Torchvision's feature pyramid: full convolutions without normalisation, and an extra level by pooling."""

    def __init__(self, feature_info: Sequence[FeatureInfo], channels: int) -> None:
        super().__init__()
        self.layers = FeaturePyramidNetwork([info.channels for info in feature_info], channels, LastLevelMaxPool())

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the backbone, N x C_i x H_i x W_i, to maps with equal channels."""
        named = OrderedDict((str(level), feature) for level, feature in enumerate(features))
        return list(self.layers(named).values())


def faster_rcnn(
    backbone: Backbone, num_classes: int, image_size: tuple[int, int], options: FasterRcnnOptions
) -> TwoStageDetector:
    """Faster R-CNN with one level of stride 16; by default five scales of anchors in three aspect ratios. Arguments as
    in ``build_detector``."""
    sizes = options.anchors or aspect_ratio_anchor_sizes([SCALES], ASPECT_RATIOS, image_size)
    neck = ContextNeck(backbone.feature_info, options.channels, nn.BatchNorm2d)
    stride = backbone.feature_info[-2].stride
    shapes = level_shapes(image_size, stride, 1)
    return _assemble(backbone, neck, num_classes, image_size, sizes, shapes, [stride], options)


def faster_rcnn_fpn(
    backbone: Backbone, num_classes: int, image_size: tuple[int, int], options: FasterRcnnFpnOptions
) -> TwoStageDetector:
    """Faster R-CNN with the backbone's levels and a coarser one; by default two scales of anchors per level in three
    aspect ratios. Arguments as in ``build_detector``."""
    info = backbone.feature_info
    strides = [level.stride for level in info]
    extra_shapes = level_shapes(image_size, strides[-1], 1 + PYRAMID_EXTRA_LEVELS)[1:]
    shapes = [(image_size[0] // stride, image_size[1] // stride) for stride in strides] + list(extra_shapes)
    sizes: AnchorSizes = options.anchors or ()
    if not sizes and options.anchor_sides:
        sizes = pixel_anchor_sizes(options.anchor_sides, ASPECT_RATIOS, image_size, len(shapes))
    sizes = sizes or aspect_ratio_anchor_sizes(PYRAMID_SCALES, ASPECT_RATIOS, image_size)
    neck = (
        FullPyramid(info, options.channels)
        if options.layers == "full"
        else FeaturePyramid(info, options.channels, PYRAMID_EXTRA_LEVELS, nn.BatchNorm2d)
    )
    return _assemble(backbone, neck, num_classes, image_size, sizes, shapes, strides, options)


def _assemble(
    backbone: Backbone,
    neck: nn.Module,
    num_classes: int,
    image_size: tuple[int, int],
    anchors: AnchorSizes,
    shapes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    options: FasterRcnnOptions,
) -> TwoStageDetector:
    """Build both stages on a neck.

    Args:
        backbone, num_classes, image_size, options: as above.
        neck: computes the feature levels.
        anchors: anchors of each level.
        shapes: (height, width) of each level.
        strides: strides of the levels that regions are pooled from, finest first.

    Raises:
        UserError: the image size or the anchors are not valid for this detector.
    """
    require_multiples("Faster R-CNN", image_size, backbone.feature_info[-1].stride)
    if len(anchors) != len(shapes):
        raise UserError(f"anchors are given for {len(anchors)} levels, but this detector has {len(shapes)}")
    per_cell = len(anchors[0])
    if any(len(level) != per_cell for level in anchors):
        raise UserError("Faster R-CNN needs the same number of anchors on every level, because the levels share a head")
    channels, resolution = options.channels, options.resolution
    rpn = (
        FullHead(channels, per_cell)
        if options.layers == "full"
        else PyramidHead(channels, len(shapes), per_cell, 1, nn.BatchNorm2d, depth=1)
    )
    box_head = BoxHead(
        options.box_head,
        channels,
        resolution,
        options.hidden,
        num_classes,
        options.class_agnostic,
        nn.BatchNorm2d,
        options.unused_logits,
    )
    return TwoStageDetector(
        backbone,
        neck,
        rpn,
        RegionPooling(strides, image_size, resolution, options.sampling_ratio, options.canonical_side),
        box_head,
        grid_anchors(anchors, shapes, image_size, options.anchor_offset),
        [rows * columns * per_cell for rows, columns in shapes],
        image_size,
        options,
    )
