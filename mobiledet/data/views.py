"""Views: the region of an image that becomes a training image, chosen at random. Imports no torch.

A view is (x0, y0, x1, y1) in pixels of the image. It may extend beyond the image, where a fill colour is shown. Each
step of an augmentation only changes the view; pixels are touched once, when the final view is stretched to the input's
size. Padding, cropping and resizing the pixels in each step would cost several times as much.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mobiledet.data.resize import block_means, block_size, resize

View: TypeAlias = NDArray[np.float64]

# SSD (arXiv:1512.02325, section 2.2) as in torchvision: minimum IoU of a crop with some box; 1 keeps the view unchanged
OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
SIDES = 0.3, 1.0  # sides of a crop as fractions of the view's
SIDE_RATIOS = 0.5, 2.0  # width over height of a crop
CANDIDATES = 40  # crops drawn for one overlap


def zoomed_out(rng: np.random.Generator, view: View, largest: float) -> View:
    """A view whose sides are 1 to ``largest`` times those of ``view``, with ``view`` somewhere in it.

    SSD's expansion, which helps with small objects: https://arxiv.org/abs/1512.02325, section 3.6.
    """
    size = view[2:] - view[:2]
    room = size * (rng.uniform(1, largest) - 1)
    corner = view[:2] - room * rng.random(2)
    return np.concatenate((corner, corner + size + room))


def rescaled(
    rng: np.random.Generator, view: View, scale: tuple[float, float], stretch: tuple[float, float], shift: float
) -> View:
    """A view in which objects are magnified by a factor drawn from ``scale``, times one from ``stretch`` for each axis.

    Its centre moves by up to the fraction ``shift`` of its sides.
    """
    factor = rng.uniform(*scale) * rng.uniform(*stretch, 2)
    half = (view[2:] - view[:2]) / factor / 2
    centre = (view[2:] + view[:2]) / 2 + 2 * half * rng.uniform(-shift, shift, 2)
    return np.concatenate((centre - half, centre + half))


def cropped_around_boxes(rng: np.random.Generator, view: View, boxes_xyxy: NDArray[np.floating]) -> View:
    """A crop of ``view`` whose IoU with some box is at least a value drawn from ``OVERLAPS``.

    As in torchvision's ``RandomIoUCrop``, that box must have its centre in the crop. ``view`` is returned unchanged if
    1 is drawn, or if there are no boxes.
    """
    while len(boxes_xyxy) and (least := rng.choice(OVERLAPS)) < 1:
        size = view[2:] - view[:2]
        sides = size * rng.uniform(*SIDES, (CANDIDATES, 2))
        corners = view[:2] + (size - sides) * rng.random((CANDIDATES, 2))
        crops = whole_pixels(np.concatenate((corners, corners + sides), axis=1))
        width, height = (crops[:, 2:] - crops[:, :2]).T
        in_shape = (width >= SIDE_RATIOS[0] * height) & (width <= SIDE_RATIOS[1] * height)
        overlaps = np.where(_has_centre(crops, boxes_xyxy), _iou(crops, boxes_xyxy), -1.0).max(axis=1)
        good = np.flatnonzero(in_shape & (overlaps >= least))
        if len(good):
            first: View = crops[good[0]]
            return first
    return view


def whole_pixels(views: View) -> View:
    """Views rounded to whole pixels, at least one pixel wide and high."""
    low = np.rint(views[..., :2])
    return np.concatenate((low, np.maximum(np.rint(views[..., 2:]), low + 1)), axis=-1)


def whole_blocks(view: View, height: int, width: int) -> View:
    """Cut a view of whole pixels so that ``resize`` to height x width has only complete blocks, which is faster."""
    columns, rows = block_size(view[2] - view[0], width), block_size(view[3] - view[1], height)
    size = view[2:] - view[:2]
    return np.concatenate((view[:2], view[2:] - size % (columns, rows)))


def centres_inside(view: View, boxes_xyxy: NDArray[np.floating]) -> NDArray[np.bool_]:
    """For each box, whether its centre is in the view."""
    return _has_centre(view[None], boxes_xyxy)[0]


def stretch_view(
    image: NDArray[np.uint8], view: View, height: int, width: int, fill: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The content of a view of whole pixels, stretched to height x width x 3 by the rule of ``resize``."""
    x0, y0, x1, y1 = view.astype(int).tolist()
    if x0 >= 0 and y0 >= 0 and x1 <= image.shape[1] and y1 <= image.shape[0]:
        return resize(image[y0:y1, x0:x1], height, width)
    rows, columns = block_size(y1 - y0, height), block_size(x1 - x0, width)
    step_x, step_y = (x1 - x0) / width, (y1 - y0) / height
    to_blocks = np.array(
        [
            [step_x / columns, 0, (x0 + step_x / 2) / columns - 0.5],
            [0, step_y / rows, (y0 + step_y / 2) / rows - 0.5],
        ]
    )
    blocks = block_means(image, rows, columns)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(blocks, to_blocks, (width, height), flags=flags, borderValue=fill), np.uint8)


def _has_centre(views: NDArray[np.float64], boxes_xyxy: NDArray[np.floating]) -> NDArray[np.bool_]:
    """N x M: whether box m has its centre in view n."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    inside = (views[:, None, :2] < centres) & (centres < views[:, None, 2:])
    return np.asarray(inside.all(axis=2), np.bool_)


def _iou(views: NDArray[np.float64], boxes_xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
    """IoU of each view with each box, N x M."""
    low = np.maximum(views[:, None, :2], boxes_xyxy[:, :2])
    high = np.minimum(views[:, None, 2:], boxes_xyxy[:, 2:])
    common = (high - low).clip(0).prod(axis=2)
    areas = [(corners[:, 2:] - corners[:, :2]).prod(axis=1) for corners in (views, boxes_xyxy)]
    union = areas[0][:, None] + areas[1] - common
    return np.asarray(common / np.maximum(union, 1e-9), np.float64)
