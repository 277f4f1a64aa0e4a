"""Heads of the second stage: from the features of proposals to class logits and box offsets."""

from collections.abc import Callable

from torch import Tensor, nn

from mobiledet.errors import unknown_name
from mobiledet.layers import ConvNormAct, NormLayer, depthwise_separable


def separable_head(channels: int, resolution: int, hidden: int, norm_layer: NormLayer) -> nn.Sequential:
    """Two 3x3 depthwise separable convolutions, then a depthwise convolution over the whole region in place of a mean
    (MobileFaceNets, arXiv:1804.07573, section 3.1), because a mean loses the object's position in the region."""
    return nn.Sequential(
        depthwise_separable(channels, channels, 3, norm_layer=norm_layer),
        depthwise_separable(channels, channels, 3, norm_layer=norm_layer),
        nn.Conv2d(channels, channels, resolution, groups=channels, bias=False),
        norm_layer(channels),
        ConvNormAct(channels, hidden, norm_layer=norm_layer),
        nn.Flatten(),
    )


class ChannelsLastFlatten(nn.Module):
    """K x C x P x P to K x PPC, in the memory order of channels-last regions, so that nothing is copied."""

    def forward(self, regions: Tensor) -> Tensor:
        """K x C x P x P to K x PPC."""
        return regions.permute(0, 2, 3, 1).flatten(1)


def two_layer_head(channels: int, resolution: int, hidden: int, norm_layer: NormLayer) -> nn.Sequential:
    """Two fully connected layers on the flattened region, as in Feature Pyramid Networks (arXiv:1612.03144, section
    5.2); the first has most of the detector's weights."""
    return nn.Sequential(
        ChannelsLastFlatten(),
        nn.Linear(channels * resolution**2, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
    )


BOX_HEADS: dict[str, Callable[[int, int, int, NormLayer], nn.Sequential]] = {
    "separable": separable_head,
    "two_layer": two_layer_head,
}
# number of layers that belong to the entry, see ``BoxHead.entry``
ENTRY_SIZES = {"separable": 0, "two_layer": 2}


class BoxHead(nn.Module):
    """K x C x P x P regions to K x (1 + classes + unused) logits, background first, and K x 4 or K x 4 * classes
    offsets.

    Args:
        kind: a key of ``BOX_HEADS``.
        channels: channels of the regions.
        resolution: P.
        hidden: number of features before the last layers.
        num_classes: number of classes, without background.
        class_agnostic: whether all classes share one box.
        norm_layer: makes the normalisation layer from a number of channels.
        unused_logits: number of logits after those of the classes, see ``losses.HardNegativeLoss``; they have no boxes.

    Raises:
        UserError: the kind is unknown.
    """

    def __init__(
        self,
        kind: str,
        channels: int,
        resolution: int,
        hidden: int,
        num_classes: int,
        class_agnostic: bool,
        norm_layer: NormLayer,
        unused_logits: int = 0,
    ) -> None:
        super().__init__()
        if kind not in BOX_HEADS:
            raise unknown_name("box head", kind, BOX_HEADS)
        self.layers = BOX_HEADS[kind](channels, resolution, hidden, norm_layer)
        self.entry_size = ENTRY_SIZES[kind]
        self.unused_logits = unused_logits
        self.classes = nn.Linear(hidden, 1 + num_classes + unused_logits)
        self.boxes = nn.Linear(hidden, 4 if class_agnostic else 4 * num_classes)
        for layer, std in ((self.classes, 0.01), (self.boxes, 0.001)):  # Fast R-CNN, arXiv:1504.08083, section 3.1
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, regions: Tensor, entered: bool = False) -> tuple[Tensor, Tensor]:
        """Logits and offsets.

        Args:
            regions: K x C x P x P regions, or the result of ``entry`` for them.
            entered: whether ``regions`` is the result of ``entry``.
        """
        hidden = regions if entered else self.entry(regions)
        for layer in list(self.layers)[self.entry_size :]:
            hidden = layer(hidden)
        return self.classes(hidden), self.boxes(hidden)

    def entry(self, regions: Tensor) -> Tensor:
        """Apply the first layers, which treat each region separately and reduce its size; possibly none."""
        for layer in list(self.layers)[: self.entry_size]:
            regions = layer(regions)
        return regions
