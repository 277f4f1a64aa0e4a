from pathlib import Path

import pytest

from mobiledet.devices.agent.batch import MAX_IMAGES, BatchSize, Item, batches

SECOND = 1_000_000_000


def _items(*sizes: int) -> list[Item]:
    return [Item(Path(str(index)), bytes(size)) for index, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("images", "computed_ns", "expected"),
    [(4, SECOND, 4), (4, SECOND // 2, 8), (4, 100 * SECOND, 1), (4, SECOND // 1000, MAX_IMAGES), (4, 0, MAX_IMAGES)],
)
def test_a_batch_takes_about_a_second(images: int, computed_ns: int, expected: int) -> None:
    size = BatchSize()
    size.learn(images, computed_ns)
    assert size.images == expected


def test_batches_keep_the_order_and_the_limits() -> None:
    size = BatchSize()
    size.images = 3
    found = list(batches(_items(1, 1, 1, 1, 50, 200, 1), size, most_bytes=100))
    assert [[item.path.name for item in batch] for batch in found] == [["0", "1", "2"], ["3", "4"], ["5"], ["6"]]
    assert list(batches([], size, 100)) == []


def test_size_may_change_on_the_way() -> None:
    size = BatchSize()
    lengths = []
    for batch in batches(_items(*[1] * 20), size, 1000):
        lengths.append(len(batch))
        size.images = 7
    assert lengths == [4, 7, 7, 2]
