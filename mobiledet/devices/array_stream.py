"""Named arrays over a pipe: each message is its length (eight bytes, big-endian) and an .npz archive."""

import io
from typing import IO

import numpy as np

LENGTH_BYTES = 8


def send(stream: IO[bytes], **arrays: object) -> None:
    """Write one message; texts and numbers are sent as zero-dimensional arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.asarray(values) for name, values in arrays.items()})  # type: ignore[arg-type]
    content = buffer.getvalue()
    stream.write(len(content).to_bytes(LENGTH_BYTES, "big"))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, np.ndarray] | None:
    """Read one message; None if the stream has ended."""
    length = int.from_bytes(stream.read(LENGTH_BYTES), "big")
    content = stream.read(length)
    if not length or len(content) < length:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)
