"""Normalisation and products against their formulas in NumPy, and PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

Run = Callable[..., list[np.ndarray]]

RNG = np.random.default_rng(9)
X = RNG.normal(size=(2, 6, 5, 4)).astype(np.float32)
MEAN, GAMMA, BETA = (RNG.normal(size=6).astype(np.float32) for _ in range(3))
VARIANCE = RNG.uniform(0.5, 2, 6).astype(np.float32)


def by_channel(values: np.ndarray) -> np.ndarray:
    return values[:, None, None]


def test_batch_and_instance(run: Run, mil: Any) -> None:
    batch, instance, plain = run(
        lambda x: [
            mil.mb.batch_norm(x=x, mean=MEAN, variance=VARIANCE, gamma=GAMMA, beta=BETA, epsilon=np.float32(1e-3)),
            mil.mb.instance_norm(x=x, gamma=GAMMA, beta=BETA, epsilon=np.float32(1e-3)),
            mil.mb.instance_norm(x=x),
        ],
        X,
    )
    expected = (X - by_channel(MEAN)) / np.sqrt(by_channel(VARIANCE) + 1e-3) * by_channel(GAMMA) + by_channel(BETA)
    np.testing.assert_allclose(batch, expected, rtol=1e-4, atol=1e-5)
    centred = X - X.mean((2, 3), keepdims=True)
    variance = np.square(centred).mean((2, 3), keepdims=True)
    expected = centred / np.sqrt(variance + 1e-3) * by_channel(GAMMA) + by_channel(BETA)
    np.testing.assert_allclose(instance, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(plain, centred / np.sqrt(variance + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [3, 4])
def test_local_response(run: Run, mil: Any, size: int) -> None:
    (found,) = run(lambda x: mil.mb.local_response_norm(x=x, size=size, alpha=0.5, beta=0.75, k=2.0), X)
    expected = np.empty_like(X)
    for channel in range(6):
        first = max(channel - size // 2, 0)
        near = X[:, first : channel - size // 2 + size]
        expected[:, channel] = X[:, channel] / (2 + 0.5 / size * np.square(near).sum(1)) ** 0.75
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_layer_norm_of_several_axes(run: Run, mil: Any) -> None:
    gamma, beta = (RNG.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
    (found,) = run(lambda x: mil.mb.layer_norm(x=x, axes=[1, 3], gamma=gamma, beta=beta), X)
    turned = torch.from_numpy(X).permute(0, 2, 1, 3)
    expected = F.layer_norm(turned, (6, 4), torch.from_numpy(gamma), torch.from_numpy(beta)).permute(0, 2, 1, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_products(run: Run, mil: Any) -> None:
    weight, bias = RNG.normal(size=(3, 4)).astype(np.float32), np.arange(3, dtype=np.float32)
    keys = RNG.normal(size=(2, 6, 7, 4)).astype(np.float32)
    linear, einsum, attention = run(
        lambda x, k: [
            mil.mb.linear(x=x, weight=weight, bias=bias),
            mil.mb.einsum(values=(x, mil.mb.transpose(x=x, perm=[0, 3, 2, 1])), equation="nchw,nwhu->nchu"),
            mil.mb.scaled_dot_product_attention(query=x, key=k, value=k),
        ],
        X,
        keys,
        target="iOS18",
    )
    np.testing.assert_allclose(linear, X @ weight.T + bias, rtol=1e-4, atol=1e-5)
    products = X @ keys.swapaxes(-1, -2)
    np.testing.assert_allclose(einsum, np.einsum("nchw,nuhw->nchu", X, X), rtol=1e-4, atol=1e-5)
    weights = np.exp(products / 2)
    np.testing.assert_allclose(attention, weights / weights.sum(-1, keepdims=True) @ keys, rtol=1e-4, atol=1e-5)
