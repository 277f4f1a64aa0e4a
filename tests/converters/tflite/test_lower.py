"""A layer that TFLite lacks is named."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mobiledet.errors import UserError
from mobiledet_converters.tflite import lower


class Determinant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.det(x)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.neck = nn.Sequential(nn.Conv2d(4, 4, 1), Determinant())

    def forward(self, image: Tensor) -> Tensor:
        return self.neck(image)


def test_operation_layer_and_path_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"aten\._linalg_det\.default \(layer Determinant at neck\.1\)"):
        lower.lower(Network().eval(), torch.zeros(1, 4, 4, 4), tmp_path / "x.tflite")
    assert not list(tmp_path.iterdir())
