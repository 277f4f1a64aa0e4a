"""MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications (arXiv:1704.04861).

Table 1 gives the network, section 3.3 the width multiplier; the resolution multiplier of section 3.4 is the size of
the input. Deviations and choices:
- ReLU6 where figure 3 has ReLU, as in the authors' released code and in all published weights.
- Table 1 prints stride 2 for the last depthwise convolution, but its input and output are both 7 x 7: stride 1.
- Batch norm has PyTorch's constants (eps 1e-5, momentum 0.1), those of the published PyTorch weights; the paper names
  none, the authors' TensorFlow code has eps 1e-3.
- Padding is symmetric; TensorFlow's SAME pads a stride-2 convolution on the right and below only.
"""

from collections.abc import Sequence

from torch import nn

from mobiledet.backbones.base import Published, Stage, StagedBackbone, pooled_classifier
from mobiledet.layers import ActivationLayer, ConvNormAct, NormLayer, ReLU6, depthwise_separable

STEM_CHANNELS = 32

# table 1: depthwise separable convolutions of c output channels, n times, the first with stride s
STAGES = (
    # c, n, s
    (64, 1, 1),
    (128, 2, 2),
    (256, 2, 2),
    (512, 6, 2),
    (1024, 2, 2),
)

# width: top-1 %, multiply-adds M, parameters M, of the authors' released models
PUBLISHED = {
    0.25: Published(49.8, 41, 0.47),
    0.5: Published(63.3, 150, 1.34),
    0.75: Published(68.4, 325, 2.59),
    1.0: Published(70.9, 569, 4.24),
}


class DepthwiseSeparableNet(StagedBackbone):
    """A convolution of stride 2 and stages of depthwise separable convolutions.

    Args:
        table: c, n, s of each stage, as in ``STAGES``.
        width: multiplier of all channels.
        activation: makes the activation layer after every convolution.
        norm_layer: makes the normalisation from a number of channels.
        published: published figures of this network.
    """

    def __init__(
        self,
        table: Sequence[tuple[int, int, int]],
        width: float,
        activation: ActivationLayer,
        norm_layer: NormLayer,
        published: Published | None,
    ) -> None:
        in_channels = int(STEM_CHANNELS * width)
        stem = ConvNormAct(3, in_channels, 3, 2, norm_layer=norm_layer, activation=activation)
        stages = []
        total_stride = 2
        for number, (c, n, s) in enumerate(table, start=1):
            channels = int(c * width)
            blocks = nn.Sequential()
            for stride in (s, *[1] * (n - 1)):
                blocks.append(depthwise_separable(in_channels, channels, 3, stride, norm_layer, activation))
                in_channels = channels
            total_stride *= s
            stages.append(Stage(f"stage{number}", channels, total_stride, blocks))
        super().__init__(stem, stages, published=published)

    def classifier_head(self, num_classes: int) -> nn.Module:
        """Pooling and a fully connected layer."""
        return nn.Sequential(*pooled_classifier(self.feature_info[-1].channels, num_classes))


class MobileNetV1(DepthwiseSeparableNet):
    """The feature form: the last layers at strides 8, 16 and 32.

    Args:
        width: the paper's alpha: 0.25, 0.5, 0.75 or 1.0.
        norm_layer: makes the normalisation from a number of channels.
    """

    def __init__(self, width: float, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        super().__init__(STAGES, width, ReLU6, norm_layer, PUBLISHED[width])
