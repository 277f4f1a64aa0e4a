import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from mobiledet.ops.anchors import (
    aspect_ratio_anchor_sizes,
    fit_anchor_sizes,
    grid_anchors,
    square_anchor_sizes,
    ssd_anchor_sizes,
)

FEATURES = [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]


def test_ssd_anchors_equal_torchvision() -> None:
    height, width = 320, 256  # a rectangle tells x from y
    ours = grid_anchors(ssd_anchor_sizes(6), FEATURES, (height, width))
    generator = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    images = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    theirs = generator(images, [torch.zeros(1, 1, *shape) for shape in FEATURES])[0]
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-5)


def test_aspect_ratio_anchors_equal_torchvision() -> None:
    height, width = 320, 256
    shapes = [(20, 16), (10, 8), (5, 4)]
    images = ImageList(torch.zeros(1, 3, height, width), [(height, width)])
    # theirs are rounded to whole pixels: ratios whose roots are whole
    generator = AnchorGenerator(((32, 64), (64, 128), (128, 256)), ((0.25, 1.0, 4.0),) * 3)
    theirs = generator(images, [torch.zeros(1, 1, *shape) for shape in shapes])[0]
    scales = [(32 / width, 64 / width), (64 / width, 128 / width), (128 / width, 256 / width)]
    sizes = aspect_ratio_anchor_sizes(scales, (0.25, 1.0, 4.0), (height, width))
    ours = grid_anchors(sizes, shapes, (height, width), offset=0.0)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-5)


def test_square_anchors_are_centred_on_their_cells() -> None:
    sizes = square_anchor_sizes(2, 8, (64, 32))
    anchors = grid_anchors(sizes, [(8, 4), (4, 2)], (64, 32))
    assert anchors.shape == (8 * 4 + 4 * 2, 4)
    torch.testing.assert_close(anchors[1], torch.tensor([12.0 - 16, 4.0 - 16, 12.0 + 16, 4.0 + 16]))  # row 0, column 1
    torch.testing.assert_close(anchors[-1], torch.tensor([24.0 - 32, 56.0 - 32, 24.0 + 32, 56.0 + 32]))


def test_fitted_anchors_cover_the_boxes_better_than_the_papers() -> None:
    torch.manual_seed(0)
    # wide boxes of two sizes
    sizes = torch.cat((torch.tensor([[0.1, 0.04]]), torch.tensor([[0.5, 0.2]]))).repeat(100, 1)
    sizes = sizes * (1 + 0.1 * torch.randn(200, 2))
    fitted = fit_anchor_sizes(sizes, num_levels=2, per_level=2)
    assert [len(level) for level in fitted] == [2, 2]
    areas = [width * height for level in fitted for width, height in level]
    assert areas == sorted(areas)

    def mean_best_iou(anchors: torch.Tensor) -> float:
        def as_boxes(wh: torch.Tensor) -> torch.Tensor:
            return torch.cat((torch.zeros_like(wh), wh), dim=1)

        return box_iou(as_boxes(sizes), as_boxes(anchors)).amax(1).mean().item()

    ours = mean_best_iou(torch.tensor(fitted).view(-1, 2))
    papers = mean_best_iou(torch.tensor([size for level in ssd_anchor_sizes(6) for size in level]))
    assert ours > 0.85 > papers


def test_fewer_boxes_than_anchors_are_enough() -> None:
    fitted = fit_anchor_sizes(torch.tensor([[0.2, 0.3]]), num_levels=3, per_level=2)
    assert fitted == [[(0.2, 0.3)] * 2] * 3
