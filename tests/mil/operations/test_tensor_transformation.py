"""Blocks, windows and sequences against loops and PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Run = Callable[..., list[np.ndarray]]

IMAGE = np.random.default_rng(2).normal(size=(2, 8, 4, 6)).astype(np.float32)


def test_pixel_shuffles(run: Run, mil: Any) -> None:
    up, down = run(
        lambda x: [
            mil.mb.pixel_shuffle(x=x, upscale_factor=2),
            mil.mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        ],
        IMAGE,
    )
    np.testing.assert_array_equal(up, F.pixel_shuffle(torch.from_numpy(IMAGE), 2))
    np.testing.assert_array_equal(down, F.pixel_unshuffle(torch.from_numpy(IMAGE), 2))


def test_depth_and_space(run: Run, mil: Any) -> None:
    space, depth = run(
        lambda x: [mil.mb.depth_to_space(x=x, block_size=2), mil.mb.space_to_depth(x=x, block_size=2)], IMAGE
    )
    for row, column in np.ndindex(2, 2):
        place = 2 * row + column
        np.testing.assert_array_equal(space[:, :, row::2, column::2], IMAGE[:, 2 * place : 2 * place + 2])
        np.testing.assert_array_equal(depth[:, 8 * place : 8 * place + 8], IMAGE[:, :, row::2, column::2])


def test_batch_and_space(run: Run, mil: Any) -> None:
    paddings = np.array([[1, 1], [0, 0]], np.int32)
    batch, space = run(
        lambda x: [
            mil.mb.space_to_batch(x=x, block_shape=[2, 3], paddings=paddings),
            mil.mb.batch_to_space(
                x=mil.mb.space_to_batch(x=x, block_shape=[2, 3], paddings=paddings), block_shape=[2, 3], crops=paddings
            ),
        ],
        IMAGE,
    )
    padded = np.pad(IMAGE, ((0, 0), (0, 0), (1, 1), (0, 0)))
    for row, column in np.ndindex(2, 3):
        place = 2 * (3 * row + column)
        np.testing.assert_array_equal(batch[place : place + 2], padded[:, :, row::2, column::3])
    np.testing.assert_array_equal(space, IMAGE)


def test_sliding_windows(run: Run, mil: Any) -> None:
    (found,) = run(lambda x: mil.mb.sliding_windows(x=x, axis=2, size=3, stride=1), IMAGE)
    windows = np.lib.stride_tricks.sliding_window_view(IMAGE, 3, axis=2)
    np.testing.assert_array_equal(found, np.moveaxis(windows, -1, 3))


def test_reverse_sequence(run: Run, mil: Any) -> None:
    (found,) = run(
        lambda x: mil.mb.reverse_sequence(x=x, lengths=np.array([3, 1], np.int32), seq_axis=2, batch_axis=0), IMAGE
    )
    expected = IMAGE.copy()
    expected[0, :, :3] = IMAGE[0, :, 2::-1]
    np.testing.assert_array_equal(found, expected)


def test_reshape_like(run: Run, mil: Any) -> None:
    (found,) = run(
        lambda x, y: mil.mb.reshape_like(x=x, ref_tensors=(x, y), begins=(0, 1), ends=(1, 0), end_masks=(False, True)),
        IMAGE,
        np.zeros((5, 12, 16), np.float32),
    )
    np.testing.assert_array_equal(found, IMAGE.reshape(2, 12, 16))


def test_slice_update(run: Run, mil: Any) -> None:
    update = np.full((2, 2, 4, 2), 7, np.float32)
    (found,) = run(
        lambda x, u: mil.mb.slice_update(
            x=x,
            update=u,
            begin=[0, 1, 0, -4],
            end=[0, 7, 4, -1],
            stride=[1, 4, 1, 2],
            end_mask=[True, False, False, False],
        ),
        IMAGE,
        update,
        target="iOS18",
    )
    expected = IMAGE.copy()
    expected[:, 1:7:4, :, -4:-1:2] = update
    np.testing.assert_array_equal(found, expected)
