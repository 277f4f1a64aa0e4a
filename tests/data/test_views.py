"""The random views against torchvision's transforms of the same name, and their pixels against torch's own sampling."""

import cv2
import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from mobiledet.data.views import (
    centres_inside,
    cropped_around_boxes,
    rescaled,
    stretch_view,
    whole_pixels,
    zoomed_out,
)

HEIGHT, WIDTH = 300, 400
WHOLE = np.array((0, 0, WIDTH, HEIGHT), np.float64)
BOXES = np.array([[20, 30, 120, 230], [250, 100, 300, 140], [310, 210, 390, 290]], np.float32)
RUNS = 600


def test_iou_crop_is_distributed_as_torchvisions() -> None:
    rng = np.random.default_rng(0)
    ours = np.array([cropped_around_boxes(rng, WHOLE, BOXES) for _ in range(RUNS)])
    torch.manual_seed(0)
    peer = v2.RandomIoUCrop()
    boxes = tv_tensors.BoundingBoxes(BOXES, format="XYXY", canvas_size=(HEIGHT, WIDTH))
    inputs = [tv_tensors.Image(torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)), boxes]
    theirs = []
    for _ in range(RUNS):
        drawn = peer.make_params(inputs)
        left, top = drawn.get("left", 0), drawn.get("top", 0)
        theirs.append((left, top, left + drawn.get("width", WIDTH), top + drawn.get("height", HEIGHT)))
    # mean and spread of each corner, of the area, and the share of pictures that each box's centre is kept in
    for measure in (
        lambda views: views,
        lambda views: (views[:, 2:] - views[:, :2]).prod(axis=1, keepdims=True),
        lambda views: np.array([centres_inside(view, BOXES) for view in views]) * 1.0,
    ):
        a, b = measure(ours), measure(np.array(theirs, np.float64))
        error = np.sqrt((a.var(axis=0) + b.var(axis=0)) / RUNS)
        assert (np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.5 * error).all()
        np.testing.assert_allclose(a.std(axis=0), b.std(axis=0), rtol=0.15)


def test_iou_crop_without_boxes_or_within_a_sliver_is_the_view_itself() -> None:
    rng = np.random.default_rng(0)
    assert cropped_around_boxes(rng, WHOLE, np.zeros((0, 4))) is WHOLE
    sliver = np.array((0, 0, 4000, 20), np.float64)
    assert cropped_around_boxes(rng, sliver, np.array([[5, 5, 15, 15]])) is sliver  # no crop has a valid shape


def test_zoom_out_is_distributed_as_torchvisions() -> None:
    rng = np.random.default_rng(1)
    ours = np.array([zoomed_out(rng, WHOLE, 4) for _ in range(RUNS)])
    torch.manual_seed(1)
    peer = v2.RandomZoomOut(side_range=(1.0, 4.0), p=1)
    image = [tv_tensors.Image(torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8))]
    paddings = np.array([peer.make_params(image)["padding"] for _ in range(RUNS)])  # left, top, right, bottom
    theirs = np.concatenate((-paddings[:, :2], paddings[:, 2:] + (WIDTH, HEIGHT)), axis=1)
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / RUNS)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4.5 * error + 1).all()
    assert (ours[:, :2] <= 0).all()
    assert (ours[:, 2:] >= (WIDTH, HEIGHT)).all()


def test_rescaled_view_shows_objects_larger_by_the_factor() -> None:
    rng = np.random.default_rng(2)
    np.testing.assert_allclose(rescaled(rng, WHOLE, (2, 2), (1, 1), 0), [100, 75, 300, 225])
    np.testing.assert_allclose(rescaled(rng, WHOLE, (0.5, 0.5), (1, 1), 0), [-200, -150, 600, 450])
    views = np.array([rescaled(rng, WHOLE, (0.6, 1.4), (0.8, 1.2), 0.2) for _ in range(RUNS)])
    sides = views[:, 2:] - views[:, :2]
    factors = (WIDTH, HEIGHT) / sides
    assert factors.min() >= 0.6 * 0.8
    assert factors.max() <= 1.4 * 1.2
    assert 0.7 < np.corrcoef(factors.T)[0, 1] < 0.95  # one scale, two stretches
    shifts = ((views[:, :2] + views[:, 2:]) / 2 - (WIDTH / 2, HEIGHT / 2)) / sides
    assert np.abs(shifts).max() <= 0.2
    assert np.abs(shifts.mean(axis=0)).max() < 0.02


@pytest.mark.parametrize("view", [(0, 0, 400, 300), (57, 20, 301, 290), (-300, -100, 500, 700), (350, -40, 480, 90)])
@pytest.mark.parametrize(("noise", "most"), [(0, 0.6), (40, 9)])  # without averaging noise gives 20 and more
def test_stretched_view_is_the_mean_of_what_it_shows_as_in_torch(
    view: tuple[int, int, int, int], noise: int, most: float
) -> None:
    coarse = np.random.default_rng(3).integers(0, 256, (HEIGHT // 20, WIDTH // 20, 3)).astype(np.uint8)
    noisy = cv2.resize(coarse, (WIDTH, HEIGHT)) / 2 + 64 + np.random.default_rng(4).normal(0, noise, (HEIGHT, WIDTH, 3))
    image = np.clip(noisy, 0, 255).astype(np.uint8)
    x0, y0, x1, y1 = view
    pad = 400
    canvas = torch.empty(3, HEIGHT + 2 * pad, WIDTH + 2 * pad)
    canvas[:] = torch.tensor((124.0, 116.0, 104.0))[:, None, None]
    canvas[:, pad : pad + HEIGHT, pad : pad + WIDTH] = torch.from_numpy(image).permute(2, 0, 1)
    part = canvas[None, :, pad + y0 : pad + y1, pad + x0 : pad + x1]
    expected = torch.nn.functional.interpolate(part, (96, 128), mode="bilinear", align_corners=False, antialias=True)
    got = stretch_view(image, np.array(view, np.float64), 96, 128, (124, 116, 104))
    difference = np.abs(got - expected[0].permute(1, 2, 0).numpy())
    assert difference.mean() < most


def test_whole_pixels_leave_nothing_empty() -> None:
    views = whole_pixels(np.array([[1.4, 2.6, 1.3, 2.6], [0.5, 0, 9.8, 3.2]]))
    np.testing.assert_array_equal(views, [[1, 3, 2, 4], [0, 0, 10, 3]])
