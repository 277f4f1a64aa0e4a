"""Writes arrays to files in a way that reports a full disk correctly."""

import io
from pathlib import Path

import numpy as np


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file. ``np.save`` would report a full disk as an OSError without a number."""
    content = io.BytesIO()
    np.save(content, array)
    path.write_bytes(content.getbuffer())
