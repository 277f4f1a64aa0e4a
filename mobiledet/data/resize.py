"""The one rule by which a picture becomes a model's input, equal to the bit in Python, Kotlin, Swift and JavaScript.

Each side is first shortened by the largest power of two that leaves at least the model's size: a pixel is the mean of
its block, halves rounded up. Where the last block is not whole, the last row or column is repeated. Then the result is
stretched, bilinear, pixel centres at half, weights of 11 bits. Of a letterbox the part of the input that shows the
picture (``mobiledet.placement``) takes the place of the model's size. No torch.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.placement import Placement
from mobiledet.processes.cores import is_x86
from mobiledet.spec import PADDINGS, InputSpec, Sampling

try:
    import cv2
except ModuleNotFoundError:  # of a plain install: NumPy and Pillow give the same bits, some ten times as slowly
    cv2 = None  # type: ignore[assignment]
# on ARM it takes kernels that round otherwise: a third of the pixels of a picture that shrinks are off by one
resizer = cv2 if is_x86() else None

WEIGHT_BITS = 11
ROW_SHIFT, SUM_SHIFT = 4, 16  # bits that OpenCV drops before and after the vertical sum

Size = tuple[float, float]  # height and width, pixels


def fit(image: NDArray[np.uint8], spec: InputSpec, extent: Size | None = None) -> NDArray[np.uint8]:
    """The input that a model of ``spec`` takes, for a picture of H x W x 3; see ``resize``."""
    height, width = extent or image.shape[:2]
    placement = Placement.of(height, width, spec)
    return padded(resize(image, placement.height, placement.width, spec.sampling, extent), placement, spec)


def padded(image: NDArray[np.uint8], placement: Placement, spec: InputSpec) -> NDArray[np.uint8]:
    """The whole input, of the part that shows the picture; that itself if it is the whole."""
    if image.shape[:2] == (spec.height, spec.width):
        return image
    whole = np.full((spec.height, spec.width, 3), PADDINGS[spec.padding], np.uint8)
    top, left = placement.top, placement.left
    whole[top : top + placement.height, left : left + placement.width] = image
    return whole


def resize(
    image: NDArray[np.uint8], height: int, width: int, sampling: Sampling = "mean", extent: Size | None = None
) -> NDArray[np.uint8]:
    """Stretch H x W x 3 to height x width x 3; the input itself if it fits.

    Args:
        image: RGB.
        height, width: of the result, pixels.
        sampling: ``mean`` is the rule above; ``bilinear`` is its second half alone, so that four pixels stand for all.
        extent: height and width of the picture in pixels of ``image``, which may not be whole: those of a picture whose
            decoder has shortened it; None where they are those of ``image``.
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
    """The largest power of two that a side can be divided by and has ``target`` whole pixels left; at least 1."""
    return 1 << max(0, int(source // target).bit_length() - 1)


def block_means(image: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """H x W x 3 to the means of blocks, ceil(H / rows) x ceil(W / columns) x 3, both powers of two."""
    if rows == columns == 1:
        return image
    below, right = -image.shape[0] % rows, -image.shape[1] % columns
    if below or right:
        image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
    # OpenCV's bilinear arithmetic gives just that mean of 2 pixels a side; INTER_AREA, for more, rounds halves to even
    if resizer and max(rows, columns) == 2:
        size = image.shape[1] // columns, image.shape[0] // rows
        return np.asarray(resizer.resize(image, size, interpolation=resizer.INTER_LINEAR), np.uint8)
    return np.array(Image.fromarray(image).reduce((columns, rows)))


def _bilinear(image: NDArray[np.uint8], extent: Size, height: int, width: int) -> NDArray[np.uint8]:
    if image.shape[:2] == extent == (height, width):
        return image
    if resizer and image.shape[:2] == extent:
        return np.asarray(resizer.resize(image, (width, height), interpolation=resizer.INTER_LINEAR), np.uint8)
    # the same numbers, also for a picture that ends within its last row or column; OpenCV knows whole ones alone
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
    """For each place of the result the two neighbours in a side of so many pixels, and their weights.

    Beyond an end OpenCV moves the weights in a row (``clips``), and repeats the row between rows.
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
    """For a process beside others, each with a core of its own."""
    if cv2:
        cv2.setNumThreads(0)
