"""FD-MobileNet: Improved MobileNet with a Fast Downsampling Strategy (arXiv:1802.03750).

MobileNetV1's layers, with stride 32 reached within twelve of them. Deviations and choices: those of
``mobilenet_v1.py`` on padding and batch norm; ReLU, as the paper says.
"""

from torch import nn

from mobiledet.backbones.base import Published
from mobiledet.backbones.mobilenet_v1 import DepthwiseSeparableNet
from mobiledet.layers import NormLayer, ReLU

# table 1: depthwise separable convolutions of c output channels, n times, the first with stride s
STAGES = (
    # c, n, s
    (64, 1, 2),
    (128, 2, 2),
    (256, 2, 2),
    (512, 5, 2),
    (1024, 1, 1),
)

# width: top-1 %, multiply-adds M, parameters M; the paper has no 0.75
PUBLISHED = {
    0.25: Published(45.1, 12, 0.38),
    0.5: Published(56.3, 40, 0.99),
    1.0: Published(65.3, 144, 2.90),
}


class FDMobileNet(DepthwiseSeparableNet):
    """The feature form: the last layers at strides 8, 16 and 32.

    Args:
        width: multiplier of all channels: 0.25, 0.5, 0.75 or 1.0.
        norm_layer: makes the normalisation from a number of channels.
    """

    def __init__(self, width: float, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        super().__init__(STAGES, width, ReLU, norm_layer, PUBLISHED.get(width))
