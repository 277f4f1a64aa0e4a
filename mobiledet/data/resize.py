"""Resizing an image to a model's input, with identical bits in Python, Kotlin, Swift and JavaScript. Imports no torch.

Each side is first divided by the largest power of two that leaves at least the model's size: a pixel becomes the mean
of its block, with halves rounded up. If the last block is incomplete, the last row or column is repeated. Then the
result is stretched by bilinear interpolation, with pixel centres at 0.5 and weights of 11 bits. With a letterbox the
part of the input that shows the image (``mobiledet.placement``) is used instead of the model's size.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.placement import Placement
from mobiledet.processes.cores import is_x86
from mobiledet.spec import PADDINGS, InputSpec, Sampling

try:
    import cv2
except ModuleNotFoundError:  # in a plain install NumPy and Pillow give the same bits, about ten times more slowly
    cv2 = None  # type: ignore[assignment]
# on ARM its kernels round differently: when shrinking, a third of the pixels are off by one
resizer = cv2 if is_x86() else None

WEIGHT_BITS = 11
ROW_SHIFT, SUM_SHIFT = 4, 16  # bits that OpenCV drops before and after the vertical sum

Size = tuple[float, float]  # height and width, pixels


def resize_to_input(image: NDArray[np.uint8], spec: InputSpec, extent: Size | None = None) -> NDArray[np.uint8]:
    """Resize an image of H x W x 3 to the input of a model, with padding if it uses a letterbox; see ``resize``."""
    height, width = extent or image.shape[:2]
    placement = Placement.of(height, width, spec)
    return pad_to_input(resize(image, placement.height, placement.width, spec.sampling, extent), placement, spec)


def pad_to_input(image: NDArray[np.uint8], placement: Placement, spec: InputSpec) -> NDArray[np.uint8]:
    """Add the letterbox padding to the resized image; an image of the input's size is returned unchanged."""
    if image.shape[:2] == (spec.height, spec.width):
        return image
    whole = np.full((spec.height, spec.width, 3), PADDINGS[spec.padding], np.uint8)
    top, left = placement.top, placement.left
    whole[top : top + placement.height, left : left + placement.width] = image
    return whole


def resize(
    image: NDArray[np.uint8], height: int, width: int, sampling: Sampling = "mean", extent: Size | None = None
) -> NDArray[np.uint8]:
    """Stretch H x W x 3 to height x width x 3; an image of that size is returned unchanged.

    Args:
        image: RGB.
        height, width: size of the result in pixels.
        sampling: ``mean`` is the rule in the module's docstring; ``bilinear`` is only its second step, in which each
            result pixel depends on four pixels.
        extent: height and width of the full image in units of ``image``'s pixels, if its decoder has reduced it; they
            may be fractions (``Decoded.extent``). None for an image that was not reduced.
    """
    real = extent or (float(image.shape[0]), float(image.shape[1]))
    if image.shape[:2] == (height, width) == real:
        return image
    if sampling == "mean":
        factors = block_size(real[0], height), block_size(real[1], width)
        image = block_means(image, *factors)
        real = real[0] / factors[0], real[1] / factors[1]
    return _bilinear(image, real, height, width)


def block_size(source: float, target: int) -> int:
    """The largest power of two by which a side can be divided so that at least ``target`` pixels remain; at least 1."""
    return 1 << max(0, int(source // target).bit_length() - 1)


def block_means(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """The means of blocks of rows x columns pixels, both powers of two: from H x W x 3 to
    ceil(H / rows) x ceil(W / columns) x 3."""
    if rows == columns == 1:
        return image
    below, right = -image.shape[0] % rows, -image.shape[1] % columns
    if below or right:
        image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    # for blocks of up to 2 x 2 OpenCV's bilinear resize gives exactly these means; its INTER_AREA, which larger blocks
    # would need, rounds halves to even
    if resizer and max(rows, columns) == 2:
        size = image.shape[1] // columns, image.shape[0] // rows
        return np.asarray(resizer.resize(image, size, interpolation=resizer.INTER_LINEAR), np.uint8)
    return np.array(Image.fromarray(image).reduce((columns, rows)))


def _bilinear(image: NDArray[np.uint8], extent: Size, height: int, width: int) -> NDArray[np.uint8]:
    if image.shape[:2] == extent == (height, width):
        return image
    if resizer and image.shape[:2] == extent:
        return np.asarray(resizer.resize(image, (width, height), interpolation=resizer.INTER_LINEAR), np.uint8)
    # the same arithmetic, also for an image that ends within its last row or column, which OpenCV does not support
    left, right, left_weight, right_weight = _taps(image.shape[1], extent[1], width, clips=True)
    upper, lower, upper_weight, lower_weight = _taps(image.shape[0], extent[0], height, clips=False)
    rows = image[:, left] * left_weight[:, None] + image[:, right] * right_weight[:, None]
    rows >>= ROW_SHIFT
    sums = (rows[upper] * upper_weight[:, None, None] >> SUM_SHIFT) + (
        rows[lower] * lower_weight[:, None, None] >> SUM_SHIFT
    )
    return np.clip(sums + 2 >> 2, 0, 255).astype(np.uint8)


def _taps(
    pixels: int, extent: float, target: int, clips: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """For each position along one side of the result: the two neighbouring source pixels and their weights.

    Beyond the ends OpenCV clips the positions within a row (``clips``), but repeats the outermost rows.
    """
    scale = 1 / (target / extent)
    places = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    low = np.floor(places).astype(np.int64)
    fraction = places - low.astype(np.float32)
    if clips:
        fraction[(low < 0) | (low >= pixels - 1)] = 0
        low = np.clip(low, 0, pixels - 1)
    one = np.float32(1 << WEIGHT_BITS)
    weights = [np.rint(share * one).astype(np.int32) for share in (1 - fraction, fraction)]
    return np.clip(low, 0, pixels - 1), np.clip(low + 1, 0, pixels - 1), weights[0], weights[1]


def use_one_thread() -> None:
    """Restrict OpenCV to one thread, for processes that run side by side."""
    if cv2:
        cv2.setNumThreads(0)
