"""The Ghost module as a plug-in for any network (GhostNet, arXiv:1911.11907, sections 3.1 and 4.1)."""

from typing import Any

from torch import nn

from mobiledet.backbones.ghostnet import GhostModule, ghost_channels

IMAGE_CHANNELS = 3


def ghostify(model: nn.Module, ratio: int = 2, kernel_size: int = 3) -> nn.Module:
    """Replace the ordinary convolutions of a network by Ghost modules, in place, with new random weights.

    As in the paper's VGG-16 and ResNets, the first convolution and the fully connected layers are kept. So are grouped
    and depthwise convolutions and those with fewer outputs than ``ratio``. The modules contain no normalisation and
    activation; the network's own ones follow each module.

    Args:
        model: the network, which is changed in place.
        ratio: output channels divided by those of the remaining ordinary convolution, the paper's s, at least 2.
        kernel_size: kernel size of the cheap operation, the paper's d, odd.

    Returns:
        The same model.

    Raises:
        ValueError: ``ratio`` or ``kernel_size`` is out of range.
    """
    if ratio < 2:
        raise ValueError(f"ratio {ratio} is below 2")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size {kernel_size} is not odd")
    done = {part for module in model.modules() if isinstance(module, GhostModule) for part in module.modules()}
    places = [
        (parent, name, child)
        for parent in model.modules()
        if parent not in done
        for name, child in parent.named_children()
        if isinstance(child, nn.Conv2d) and _is_ordinary(child, ratio)
    ]
    for parent, name, convolution in places:
        setattr(parent, name, _ghost_of(convolution, ratio, kernel_size))
    return model


def _is_ordinary(convolution: nn.Conv2d, ratio: int) -> bool:
    return convolution.groups == 1 and convolution.in_channels > IMAGE_CHANNELS and convolution.out_channels >= ratio


def _ghost_of(convolution: nn.Conv2d, ratio: int, kernel_size: int) -> GhostModule:
    channels = ghost_channels(convolution.out_channels, ratio)
    options: dict[str, Any] = {
        "bias": convolution.bias is not None,
        "padding_mode": convolution.padding_mode,
        "device": convolution.weight.device,
        "dtype": convolution.weight.dtype,
    }
    primary = nn.Conv2d(
        convolution.in_channels,
        channels.intrinsic,
        convolution.kernel_size,  # type: ignore[arg-type]  # torch declares longer tuples than it makes
        convolution.stride,  # type: ignore[arg-type]
        convolution.padding,  # type: ignore[arg-type]
        convolution.dilation,  # type: ignore[arg-type]
        **options,
    )
    cheap = nn.Conv2d(
        channels.intrinsic,
        channels.made,
        kernel_size,
        padding=kernel_size // 2,
        groups=channels.intrinsic,
        **options,
    )
    return GhostModule(primary, cheap, channels)
