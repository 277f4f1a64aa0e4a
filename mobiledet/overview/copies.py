"""Finds duplicates and near duplicates among images."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mobiledet.overview.pictures import ImageSummary

BITS = 64
MAX_BITS = 6  # bits in which the hashes of near duplicates may differ
BANDS = MAX_BITS + 1  # two such hashes are equal in at least one of so many bands
MAX_DIFFERENCE = 6.0  # mean difference of thumbnails, in grey levels of 0..255
MIN_CONTRAST = 4.0  # standard deviation of a thumbnail; those below are too uniform to compare
MAX_IN_BUCKET = 400  # larger buckets come from common features, such as a black border

Pairs = list[tuple[int, int]]


def exact_copies(summaries: Sequence[ImageSummary]) -> list[list[int]]:
    """Groups of images whose files are identical, as indices."""
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, summary in enumerate(summaries):
        if summary.digest:
            groups[summary.digest].append(index)
    return [group for group in groups.values() if len(group) > 1]


def near_copies(summaries: Sequence[ImageSummary]) -> Pairs:
    """Pairs of images that look the same although their files differ, for example in size or compression, or because
    they are consecutive frames of a video.

    The difference hashes of a pair (the signs of 64 horizontal gradients of the image reduced to 9 x 8) differ in at
    most 6 bits, and their thumbnails are similar. Of identical files only the first is considered.
    """
    by_digest = {summary.digest: index for index, summary in reversed(list(enumerate(summaries))) if summary.digest}
    first = list(by_digest.values())
    small = np.array([summaries[index].small for index in first], np.float32).reshape(len(first), *_shape(summaries))
    shows = small.std(axis=(1, 2)) >= MIN_CONTRAST if len(first) else np.zeros(0, bool)
    chosen = np.flatnonzero(shows)
    if len(chosen) < 2:
        return []
    bits = difference_bits(small[chosen])
    pairs = _candidates(bits)
    left, right = chosen[pairs[:, 0]], chosen[pairs[:, 1]]
    alike = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), 1 << 16):
        part = slice(start, start + (1 << 16))
        alike[part] = np.abs(small[left[part]] - small[right[part]]).mean(axis=(1, 2)) <= MAX_DIFFERENCE
    index = np.array(first)
    found = {
        tuple(sorted(pair)) for pair in zip(index[left[alike]].tolist(), index[right[alike]].tolist(), strict=True)
    }
    return sorted(found)  # type: ignore[arg-type]


def difference_bits(small: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Difference hashes, N x 64: whether each of 8 x 8 cells is darker than its right neighbour."""
    rows = small.reshape(len(small), 8, 2, small.shape[2]).mean(axis=2)
    # nine columns from sixteen, each the mean of two
    columns = np.stack(
        [rows[:, :, start : start + 2].mean(axis=2) for start in np.linspace(0, 14, 9).round().astype(int)], 2
    )
    return np.asarray((columns[:, :, 1:] > columns[:, :, :-1]).reshape(len(small), BITS))


def _candidates(bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pairs of rows that differ in at most ``MAX_BITS`` bits, K x 2."""
    found: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    for band in np.array_split(np.arange(BITS), BANDS):
        keys = bits[:, band] @ (1 << np.arange(len(band), dtype=np.int64))
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        for bucket in np.split(order, starts[1:]):
            # a bucket that is too large for comparing all pairs is split into groups of consecutive images
            for part in np.array_split(bucket, -(-len(bucket) // MAX_IN_BUCKET)):
                if len(part) > 1:
                    near = (bits[part][:, None] ^ bits[part][None]).sum(axis=2) <= MAX_BITS
                    a, b = np.nonzero(np.triu(near, 1))
                    found.append(np.column_stack((part[a], part[b])))
    return np.unique(np.concatenate(found), axis=0)


def _shape(summaries: Sequence[ImageSummary]) -> tuple[int, int]:
    return summaries[0].small.shape if summaries else (0, 0)  # type: ignore[return-value]
