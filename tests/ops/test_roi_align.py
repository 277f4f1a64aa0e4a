from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import roi_align

from mobiledet.ops.roi_align import dense_roi_align, interpolation_weights, separable_roi_align

Form = Callable[[Tensor, Tensor, Tensor], Tensor]
FORMS: list[Form] = [separable_roi_align, dense_roi_align]
IMAGES, BOXES, CHANNELS, HEIGHT, WIDTH = 2, 40, 5, 12, 20


def fractions(seed: int) -> Tensor:
    """Boxes of all kinds: inside, across the border, outside, smaller than a cell, empty."""
    torch.manual_seed(seed)
    corner = torch.rand(IMAGES, BOXES, 2) * 1.6 - 0.4
    boxes = torch.cat((corner, corner + torch.rand(IMAGES, BOXES, 2) * 0.7), dim=-1)
    boxes[:, 0] = torch.tensor([0.3, 0.4, 0.301, 0.9])
    boxes[:, 1] = 0
    boxes[:, 2] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    boxes[:, 3] = torch.tensor([2.0, 2.0, 3.0, 3.0])
    return boxes


def ours(form: Form, features: Tensor, boxes: Tensor, resolution: int, sampling_ratio: int, aligned: bool) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    rows = interpolation_weights(y1, y2, features.shape[2], resolution, sampling_ratio, aligned)
    columns = interpolation_weights(x1, x2, features.shape[3], resolution, sampling_ratio, aligned)
    return form(features, rows, columns)


def theirs(features: Tensor, boxes: Tensor, resolution: int, sampling_ratio: int, aligned: bool) -> Tensor:
    cells = boxes * torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    return roi_align(features, list(cells), resolution, 1.0, sampling_ratio, aligned)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [1, 2])
@pytest.mark.parametrize("resolution", [5, 7])
@pytest.mark.parametrize("form", FORMS)
def test_equals_torchvision(form: Form, resolution: int, sampling_ratio: int, aligned: bool) -> None:
    boxes = fractions(resolution)
    features = torch.randn(IMAGES, CHANNELS, HEIGHT, WIDTH)
    expected = theirs(features, boxes, resolution, sampling_ratio, aligned)
    found = ours(form, features, boxes, resolution, sampling_ratio, aligned)
    assert found.shape == (IMAGES * BOXES, CHANNELS, resolution, resolution)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert expected[3].abs().max() == found[3].abs().max() == 0  # wholly outside


@pytest.mark.parametrize("form", FORMS)
def test_gradient_equals_torchvision(form: Form) -> None:
    boxes = fractions(0)
    features = torch.randn(IMAGES, CHANNELS, HEIGHT, WIDTH, requires_grad=True)
    wanted = torch.randn(IMAGES * BOXES, CHANNELS, 7, 7)
    (expected,) = torch.autograd.grad(theirs(features, boxes, 7, 2, False), features, wanted)
    (found,) = torch.autograd.grad(ours(form, features, boxes, 7, 2, False), features, wanted)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
