import pytest
import torch

from mobiledet.detectors.regions import RegionPooling

SIZE = (320, 256)
STRIDES = (8, 16, 32)


def test_static_form_equals_torchvisions_over_a_pyramid() -> None:
    torch.manual_seed(0)
    features = [torch.randn(2, 5, SIZE[0] // stride, SIZE[1] // stride) for stride in STRIDES]
    corner = torch.rand(2, 60, 2) * 0.6
    boxes = torch.cat((corner, (corner + torch.rand(2, 60, 2) ** 2).clamp(max=1)), dim=-1)
    boxes[:, 0] = 0  # padding
    boxes[:, 1] = torch.tensor([0.0, 0.0, 112 / 256, 112 / 320])  # where the second level begins
    pooling = RegionPooling(STRIDES, SIZE, resolution=7, sampling_ratio=2, canonical_side=112)
    boxes[:, 2] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1) * SIZE[0] * SIZE[1]
    assert (area < 112**2).any()
    assert (area >= 224**2).any()
    expected = pooling(features, boxes)
    for image, wanted in enumerate(expected.split(60)):
        found = pooling.forward_static([f[image : image + 1] for f in features], boxes[image : image + 1])
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strides", [(16,), STRIDES])
def test_what_learns_takes_the_form_with_the_fast_gradient(strides: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    features = [torch.randn(2, 96, SIZE[0] // stride, SIZE[1] // stride) for stride in strides]
    boxes = torch.tensor([[[0.1, 0.2, 0.6, 0.9], [0.0, 0.0, 1.0, 1.0], [0.2, 0.2, 0.3, 0.3]]]).repeat(2, 1, 1)
    pooling = RegionPooling(strides, SIZE, resolution=7, sampling_ratio=2, canonical_side=112)
    expected = pooling(features, boxes)
    found = pooling([feature.requires_grad_() for feature in features], boxes)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    found.sum().backward()
    assert all(feature.grad is not None and feature.grad.any() for feature in features)
