import io

import numpy as np
import pytest

from mobiledet.devices.array_stream import receive, send


def test_messages_come_one_by_one() -> None:
    stream = io.BytesIO()
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    send(stream, image=image, empty=np.zeros((0, 4), np.float32))
    send(stream, error="Größe 3")
    stream.seek(0)
    first, second = receive(stream), receive(stream)
    assert first is not None
    np.testing.assert_array_equal(first["image"], image)
    assert first["empty"].shape == (0, 4)
    assert second is not None
    assert str(second["error"]) == "Größe 3"
    assert receive(stream) is None


def test_broken_stream_is_an_end() -> None:
    stream = io.BytesIO()
    send(stream, a=np.zeros(100))
    assert receive(io.BytesIO(stream.getvalue()[:-1])) is None
    assert receive(io.BytesIO(stream.getvalue()[:4])) is None


def test_objects_are_not_loaded() -> None:
    """A pickle could run code."""
    stream = io.BytesIO()
    send(stream, a=np.array([{"a": 1}], object))
    stream.seek(0)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        receive(stream)
