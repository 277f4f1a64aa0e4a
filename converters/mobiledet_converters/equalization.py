"""Channels of one tensor brought to one range, so that the scale of 8-bit numbers suits all of them.

Cross-layer equalisation (Nagel et al., arXiv:1906.04721, section 4.1) between an ordinary or depthwise convolution and
the depthwise convolution that alone reads it. What a channel of the first is multiplied by, the second is divided by,
and ReLU and LeakyReLU in between do not notice. Both have a scale for the weights of each channel, so that their
rounding stays as it is: nothing is lost for what the tensor in between wins. Unlike in the paper, ranges are those of
the activations on calibration images, not those of the weights.

NanoDet-Plus-m, AP on 128 images of val2017: TFLite at 320 pixels, early maps in floats, 0.3389 without and 0.3481 with
it (float 0.3507); Core ML's W8A8 at 416 pixels 0.3487 without and 0.3728 with it (float 0.3726). Networks without
LeakyReLU have not been measured, and are left as they are.
"""

import numpy as np

from mobiledet_converters.calibration import SHARE

IMAGES = 32  # that the ranges of channels are taken from
LARGEST_FACTOR = 64.0  # for channels that are all but silent


def sample(images: np.ndarray) -> np.ndarray:
    """Some of the calibration images, evenly spread over them."""
    return images[np.linspace(0, len(images) - 1, min(IMAGES, len(images))).round().astype(int)]


def channel_factors(largest: np.ndarray) -> np.ndarray:
    """What each channel is multiplied by to have the range of the widest one.

    Args:
        largest: images x channels, largest absolute values of the activations.
    """
    channels = np.quantile(largest, SHARE, axis=0)
    if not channels.any():
        return np.ones(channels.shape, np.float32)
    return np.asarray(channels.max() / np.maximum(channels, channels.max() / LARGEST_FACTOR), np.float32)
