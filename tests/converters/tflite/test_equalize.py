from pathlib import Path

import numpy as np
import torch
from ai_edge_litert.tools.flatbuffer_utils import read_model
from torch import nn

from mobiledet_converters.tflite.equalize import equalize, find_pairs, has_leaky_relu
from mobiledet_converters.tflite.float_part import early_operations
from mobiledet_converters.tflite.lower import lower
from mobiledet_converters.tflite.network import ChannelsLast
from mobiledet_converters.tflite.ranges import PreservedTensors


def test_channels_get_one_range_and_outputs_stay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 1)
    first.weight.data = torch.logspace(-1, 0.5, 8).view(8, 1, 1, 1).expand(8, 3, 1, 1).clone()
    nn.init.zeros_(first.bias)
    network = nn.Sequential(
        first, nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.LeakyReLU(0.1), nn.Conv2d(8, 4, 1)
    )
    source, target = tmp_path / "a.tflite", tmp_path / "b.tflite"
    lower(ChannelsLast(network).eval(), torch.zeros(1, 16, 16, 3), source)
    assert has_leaky_relu(source)
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.float32) / 255
    assert equalize(source, target, images) == 1

    (pair,) = find_pairs(read_model(target))
    before, after = PreservedTensors.open(source), PreservedTensors.open(target)
    spreads = []
    for tensors in (before, after):
        largest = np.zeros(8)
        for image in images:
            tensors.run(image)
            values = tensors.interpreter.get_tensor(pair.between)
            largest = np.maximum(largest, np.abs(values).reshape(-1, 8).max(0))
        spreads.append(largest.max() / largest.min())
    assert spreads[0] > 20
    assert spreads[1] < 1.2
    for image in images:
        outputs = []
        for tensors in (before, after):
            tensors.run(image)
            (detail,) = tensors.interpreter.get_output_details()
            outputs.append(tensors.interpreter.get_tensor(detail["index"]))
        np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)
    assert not early_operations(read_model(source)), "no backbone is in it"
