"""Pictures that are there twice, exactly or nearly."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mobiledet.overview.pictures import Look

BITS = 64
MOST_BITS = 6  # that may differ in a hash
BANDS = MOST_BITS + 1  # then two hashes agree in one of them at least
MOST_DIFFERENCE = 6.0  # mean difference of the small pictures, levels of 255
LEAST_CONTRAST = 4.0  # standard deviation of a small picture that shows anything
MOST_IN_BUCKET = 400  # more have a part in common by chance, such as a black border

Pairs = list[tuple[int, int]]


def exact_copies(looks: Sequence[Look]) -> list[list[int]]:
    """Groups of pictures whose files are the same, byte by byte."""
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, seen in enumerate(looks):
        if seen.digest:
            groups[seen.digest].append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_copies(looks: Sequence[Look]) -> Pairs:
    """Pairs of pictures that look the same but are other files: another size, compression, or the next frame of a
    video.

    Candidates have a difference hash (64 signs of horizontal gradients of the 9 x 8 picture) that differs in up to 6
    bits; their small pictures must be alike as well. Of files that are the same only the first takes part.
    """
    first = list({seen.digest: index for index, seen in reversed(list(enumerate(looks))) if seen.digest}.values())
    small = np.array([looks[index].small for index in first], np.float32).reshape(len(first), *_shape(looks))
    shows = small.std(axis=(1, 2)) >= LEAST_CONTRAST if len(first) else np.zeros(0, bool)
    chosen = np.flatnonzero(shows)
    if len(chosen) < 2:
        return []
    bits = difference_bits(small[chosen])
    pairs = _candidates(bits)
    left, right = chosen[pairs[:, 0]], chosen[pairs[:, 1]]
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 1 << 16):
        part = slice(start, start + (1 << 16))
        alike[part] = np.abs(small[left[part]] - small[right[part]]).mean(axis=(1, 2)) <= MOST_DIFFERENCE
    index = np.array(first)
    found = {
        tuple(sorted(pair)) for pair in zip(index[left[alike]].tolist(), index[right[alike]].tolist(), strict=True)
    }
    return sorted(found)  # type: ignore[arg-type]


def difference_bits(small: NDArray[np.float32]) -> NDArray[np.bool_]:
    """N x 64: whether a cell is brighter than its right neighbour, of 8 rows and 9 columns."""
    rows = small.reshape(len(small), 8, 2, small.shape[2]).mean(axis=2)
    # nine columns out of sixteen, each a mean around its place
    columns = np.stack(
        [rows[:, :, start : start + 2].mean(axis=2) for start in np.linspace(0, 14, 9).round().astype(int)], 2
    )
    return np.asarray((columns[:, :, 1:] > columns[:, :, :-1]).reshape(len(small), BITS))


def _candidates(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """K x 2: pairs of rows that differ in few bits."""
    found: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    for band in np.array_split(np.arange(BITS), BANDS):
        keys = bits[:, band] @ (1 << np.arange(len(band), dtype=np.int64))
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        for bucket in np.split(order, starts[1:]):
            # neighbours in the order of the list stand for a bucket that is too full to be compared pair by pair
            for part in np.array_split(bucket, -(-len(bucket) // MOST_IN_BUCKET)):
                if len(part) > 1:
                    near = (bits[part][:, None] ^ bits[part][None]).sum(axis=2) <= MOST_BITS
                    a, b = np.nonzero(np.triu(near, 1))
                    found.append(np.column_stack((part[a], part[b])))
    return np.unique(np.concatenate(found), axis=0)


def _shape(looks: Sequence[Look]) -> tuple[int, int]:
    return looks[0].small.shape if looks else (0, 0)  # type: ignore[return-value]
