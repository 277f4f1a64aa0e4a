"""Scatters and gathers against loops in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[..., list[np.ndarray]]

RNG = np.random.default_rng(10)
MODES = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum}


def test_scatters(run: Run, mil: Any) -> None:
    data = RNG.uniform(1, 2, (4, 5)).astype(np.float32)
    indices = np.array([2, 0, 2], np.int32)
    updates = RNG.uniform(1, 2, (4, 3)).astype(np.float32)
    places = np.stack([np.array([3, 0, 3]), indices], 1).astype(np.int32)
    along = np.broadcast_to(indices, (4, 3)).copy()
    found = run(
        lambda d, u: [
            op
            for mode in MODES
            for op in (
                mil.mb.scatter(data=d, indices=indices, updates=u, axis=1, mode=mode),
                mil.mb.scatter_along_axis(data=d, indices=along, updates=u, axis=1, mode=mode),
                mil.mb.scatter_nd(
                    data=d,
                    indices=places,
                    updates=mil.mb.squeeze(x=mil.mb.slice_by_size(x=u, begin=[0, 0], size=[1, 3]), axes=[0]),
                    mode=mode,
                ),
            )
        ],
        data,
        updates,
    )
    for number, kernel in enumerate(MODES.values()):
        columns, cells = data.copy(), data.copy()
        for place, index in enumerate(indices):  # one after the other, so that repeated ones add up
            columns[:, index] = kernel(columns[:, index], updates[:, place])
            row = places[place, 0]
            cells[row, index] = kernel(cells[row, index], updates[0, place])
        np.testing.assert_allclose(found[3 * number], columns, rtol=1e-5)
        np.testing.assert_allclose(found[3 * number + 1], columns, rtol=1e-5)
        np.testing.assert_allclose(found[3 * number + 2], cells, rtol=1e-5)


def test_update_and_gather_nd(run: Run, mil: Any) -> None:
    rows = np.array([[3, 1], [0, 2]], np.int32)
    updates = RNG.normal(size=(2, 4)).astype(np.float32)
    data = RNG.normal(size=(5, 3, 4)).astype(np.float32)
    updated, taken, batched = run(
        lambda d, u: [
            mil.mb.scatter_nd(data=d, indices=rows, updates=u, mode="update"),
            mil.mb.gather_nd(x=d, indices=rows),
            mil.mb.gather_nd(x=d, indices=np.array([[2], [0], [1], [1], [2]], np.int32), batch_dims=1),
        ],
        data,
        updates,
    )
    expected = data.copy()
    expected[[3, 0], [1, 2]] = updates
    np.testing.assert_array_equal(updated, expected)
    np.testing.assert_array_equal(taken, data[[3, 0], [1, 2]])
    np.testing.assert_array_equal(batched, data[np.arange(5), [2, 0, 1, 1, 2]])
