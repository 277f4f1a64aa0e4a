"""Anchor boxes: SSD's default boxes, boxes fitted to a dataset, and their grids. Sizes are fractions of the image."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

# for each feature level, the (width, height) of its anchors in fractions of the image's sides
AnchorSizes = Sequence[Sequence[tuple[float, float]]]


def ssd_anchor_sizes(
    num_levels: int, min_scale: float = 0.2, max_scale: float = 0.95, aspect_ratios: Sequence[float] = (2, 3)
) -> AnchorSizes:
    """SSD's default boxes (arXiv:1512.02325, section 2.2), scales spaced evenly as in MobileNetV2's SSDLite.

    Each level has a square of its scale, a square between its scale and the next, and for each aspect ratio a wide
    and a high box.
    """
    steps = max(num_levels - 1, 1)
    scales = [min_scale + (max_scale - min_scale) * level / steps for level in range(num_levels)] + [1.0]
    sizes = []
    for scale, following in itertools.pairwise(scales):
        between = math.sqrt(scale * following)
        level = [(scale, scale), (between, between)]
        for ratio in aspect_ratios:
            root = math.sqrt(ratio)
            level += [(scale * root, scale / root), (scale / root, scale * root)]
        sizes.append([(min(width, 1.0), min(height, 1.0)) for width, height in level])
    return sizes


def square_anchor_sizes(
    num_levels: int, finest_stride: int, image_size: tuple[int, int], cells: float = 4.0
) -> AnchorSizes:
    """One square anchor per cell, ``cells`` times as large as the cell (arXiv:1912.02424, section 3.2).

    Args:
        num_levels: number of levels, each with twice the stride of the one before.
        finest_stride: stride of the first level in pixels.
        image_size: (height, width) in pixels.
        cells: side of the anchor in cells.
    """
    height, width = image_size
    sides = [cells * finest_stride * 2**level for level in range(num_levels)]
    return [[(side / width, side / height)] for side in sides]


def aspect_ratio_anchor_sizes(
    scales: Sequence[Sequence[float]], aspect_ratios: Sequence[float], image_size: tuple[int, int]
) -> AnchorSizes:
    """Faster R-CNN's anchors (arXiv:1506.01497, section 3.1.1): each scale of a level in each aspect ratio.

    Args:
        scales: of each level, the side of a square of the same area in fractions of the image's shorter side.
        aspect_ratios: height over width, in pixels.
        image_size: (height, width) in pixels.
    """
    height, width = image_size
    shorter = min(image_size)
    return [
        [
            (scale * shorter / math.sqrt(ratio) / width, scale * shorter * math.sqrt(ratio) / height)
            for ratio in aspect_ratios
            for scale in level
        ]
        for level in scales
    ]


def pixel_anchor_sizes(
    sides: Sequence[float], aspect_ratios: Sequence[float], image_size: tuple[int, int], num_levels: int
) -> AnchorSizes:
    """Torchvision's anchors: the same sides in pixels on every level, rounded so that half of each is a whole number.

    Args:
        sides: sides in pixels of squares of the same area.
        aspect_ratios: height over width.
        image_size: (height, width) in pixels.
        num_levels: number of levels of the detector.
    """
    height, width = image_size
    level = [
        (2 * round(side / math.sqrt(ratio) / 2) / width, 2 * round(side * math.sqrt(ratio) / 2) / height)
        for ratio in aspect_ratios
        for side in sides
    ]
    return [level] * num_levels


def fit_anchor_sizes(box_sizes: Tensor, num_levels: int, per_level: int, seed: int = 0, steps: int = 50) -> AnchorSizes:
    """Fit anchor sizes to the boxes of a data set by k-means with the distance 1 - IoU (arXiv:1612.08242, section 2).

    Args:
        box_sizes: B x 2 (width, height) in fractions of the image, positive.
        num_levels, per_level: number of levels, and of clusters per level; clusters are sorted by area, smallest first.
        seed: random seed of the sample that is taken from many boxes.
        steps: largest number of iterations.
    """
    count = num_levels * per_level
    by_area = box_sizes[box_sizes.prod(1).argsort()]
    generator = torch.Generator().manual_seed(seed)
    if len(by_area) > 20_000:
        chosen = torch.randperm(len(by_area), generator=generator)[:20_000].sort().values
        by_area = by_area[chosen]
    # initial centres: quantiles of the boxes sorted by area
    centres = by_area[((torch.arange(count) + 0.5) / count * len(by_area)).long()]
    areas = by_area.prod(1)
    for _ in range(steps):
        overlap = torch.minimum(by_area[:, None], centres[None]).prod(2)
        nearest = (overlap / (areas[:, None] + centres.prod(1)[None] - overlap)).argmax(1)
        members = torch.zeros(count).index_add_(0, nearest, torch.ones(len(by_area)))
        sums = torch.zeros(count, 2).index_add_(0, nearest, by_area)
        moved = torch.where(members[:, None] > 0, sums / members[:, None].clamp(min=1), centres)
        if torch.allclose(moved, centres, atol=1e-5):
            break
        centres = moved
    ordered = centres[centres.prod(1).argsort()].tolist()
    return [
        [(round(width, 4), round(height, 4)) for width, height in ordered[start : start + per_level]]
        for start in range(0, count, per_level)
    ]


def grid_anchors(
    sizes: AnchorSizes,
    feature_shapes: Sequence[tuple[int, int]],
    image_shape: tuple[int, int],
    offset: float = 0.5,
) -> Tensor:
    """All anchors of an image, in the order of the flattened head outputs: level, row, column, anchor of the cell.

    Args:
        sizes: anchor sizes of each level.
        feature_shapes: (height, width) of each level's map.
        image_shape: (height, width) in pixels.
        offset: position of an anchor's centre in its cell, as a fraction of the cell; torchvision's Faster R-CNN uses
            0, the corner.

    Returns:
        A x 4 float32 xyxy in pixels, not clipped.
    """
    image_height, image_width = image_shape
    levels = []
    for level_sizes, (rows, columns) in zip(sizes, feature_shapes, strict=True):
        y = (torch.arange(rows) + offset) / rows * image_height
        x = (torch.arange(columns) + offset) / columns * image_width
        centre = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).reshape(-1, 1, 2)
        half = torch.tensor(level_sizes) * torch.tensor([image_width, image_height]) / 2
        levels.append(torch.cat((centre - half, centre + half), dim=-1).reshape(-1, 4))
    return torch.cat(levels)
