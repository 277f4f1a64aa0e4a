"""Raw pixels to network input."""

import torch
from torch import Tensor

from mobiledet.spec import InputSpec


def normalize(images: Tensor, spec: InputSpec) -> Tensor:
    """N x 3 x H x W RGB in 0..255 (any number type) to float32 ``(value - mean) / std``, memory format kept."""
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    return (images.float() - mean) / std
