"""MobileNetV2: Inverted Residuals and Linear Bottlenecks (arXiv:1801.04381).

Table 1 gives the block, table 2 the network. Deviations and choices:
- The first block, t = 1, has no expansion convolution; table 1 hides this, the published multiply-adds need it.
- A width below 1 leaves the 1280 channels of the last convolution as they are (section 4).
- Channels are rounded to multiples of 8, as in the authors' released code.
- Batch norm has PyTorch's constants (eps 1e-5, momentum 0.1), those of the published PyTorch weights; the authors'
  TensorFlow code has eps 1e-3.
- Padding is symmetric; TensorFlow's SAME pads a stride-2 convolution on the right and below only.
- The features are the outputs of the linear bottlenecks; the 1280-channel convolution belongs to the classifier.
  SSDLite (section 6.2) takes the expansion of the first bottleneck that goes to stride 32, "layer 15", instead of the
  output at stride 16, and puts the 1280-channel convolution on the output at stride 32.
"""

from typing import cast

from torch import Tensor, nn

from mobiledet.backbones.base import FeatureInfo, Published, Stage, StagedBackbone, pooled_classifier
from mobiledet.layers import ConvNormAct, NormLayer, ReLU6, make_divisible

STEM_CHANNELS = 32
LAST_CHANNELS = 1280

# table 2: n bottlenecks of expansion t and c output channels, the first with stride s
STAGES = (
    # t, c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
TO_STRIDE_32 = 5  # index of the stage that begins with the step from stride 16 to 32

# width: top-1 %, multiply-adds M, parameters M, of the authors' released models
PUBLISHED = {
    0.35: Published(60.3, 59, 1.66),
    0.5: Published(65.4, 97, 1.95),
    0.75: Published(69.8, 209, 2.61),
    1.0: Published(71.8, 300, 3.47),
    1.3: Published(74.4, 509, 5.34),
    1.4: Published(75.0, 582, 6.06),
}


class InvertedResidual(nn.Module):
    """Table 1: expansion, depthwise convolution, linear projection; a residual if input and output have one shape."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = (
            nn.Identity()
            if expansion == 1
            else ConvNormAct(in_channels, hidden, norm_layer=norm_layer, activation=ReLU6)
        )
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride, hidden, norm_layer, ReLU6)
        self.project = ConvNormAct(hidden, out_channels, norm_layer=norm_layer, activation=None)
        self.has_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x out_channels x H/stride x W/stride, rounded up."""
        return self.from_expansion(x, self.expand(x))

    def from_expansion(self, x: Tensor, expanded: Tensor) -> Tensor:
        """The rest of the block, from its input ``x`` and the expansion of ``x``."""
        y: Tensor = self.project(self.depthwise(expanded))
        return x + y if self.has_residual else y


class MobileNetV2(StagedBackbone):
    """The feature form: the last bottlenecks at strides 8, 16 and 32.

    Args:
        width: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        norm_layer: makes the normalisation from a number of channels.
    """

    def __init__(self, width: float, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        in_channels = make_divisible(STEM_CHANNELS * width)
        stem = ConvNormAct(3, in_channels, 3, 2, norm_layer=norm_layer, activation=ReLU6)
        stages = []
        total_stride = 2
        for number, (t, c, n, s) in enumerate(STAGES, start=1):
            channels = make_divisible(c * width)
            blocks = nn.Sequential()
            for stride in (s, *[1] * (n - 1)):
                blocks.append(InvertedResidual(in_channels, channels, t, stride, norm_layer))
                in_channels = channels
            total_stride *= s
            stages.append(Stage(f"stage{number}", channels, total_stride, blocks))
        super().__init__(stem, stages, published=PUBLISHED[width])
        self.head_channels = make_divisible(LAST_CHANNELS * max(1.0, width))
        self.norm_layer = norm_layer

    @property
    def ssd_info(self) -> tuple[FeatureInfo, ...]:
        """The expansion in the first block of stride 32, at stride 16, and the last map, at stride 32."""
        *_, fine, coarse = self.feature_info
        return FeatureInfo(f"stage{TO_STRIDE_32 + 1}.expansion", fine.channels * STAGES[TO_STRIDE_32][0], 16), coarse

    def ssd_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """N x 3 x H x W images to the two maps of ``ssd_info``."""
        x = self.stem(images)
        for stage in self.stages[:TO_STRIDE_32]:
            x = stage(x)
        first, *others = cast(nn.Sequential, self.stages[TO_STRIDE_32])
        assert isinstance(first, InvertedResidual)
        expanded: Tensor = first.expand(x)
        x = first.from_expansion(x, expanded)
        for layer in (*others, *self.stages[TO_STRIDE_32 + 1 :]):
            x = layer(x)
        return expanded, x

    def ssd_last_layer(self) -> tuple[nn.Module, int]:
        """The pointwise convolution before the classifier, and its output channels."""
        return self._last_convolution(), self.head_channels

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The last pointwise convolution, pooling, and a fully connected layer."""
        return nn.Sequential(self._last_convolution(), *pooled_classifier(self.head_channels, num_classes))

    def _last_convolution(self) -> nn.Module:
        in_channels = self.feature_info[-1].channels
        return ConvNormAct(in_channels, self.head_channels, norm_layer=self.norm_layer, activation=ReLU6)
