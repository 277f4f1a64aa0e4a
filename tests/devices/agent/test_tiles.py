"""Slices of pictures on their way to an agent, in batches that begin and end anywhere."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.agent.service import Agent
from mobiledet.devices.local import LocalDevice
from mobiledet.evaluation.tiles import TiledSession, Tiling


def test_slices_find_the_same_as_here(
    serve: Callable, patch_bundle: Bundle, paint_cells: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    paths = []
    for index in range(3):
        mosaic = [np.hstack([paint_cells([(2 * index, index, column % 3)]) for column in range(5)])] * (index + 1)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(np.vstack(mosaic)).save(paths[-1])
    spec, file, tiling = patch_bundle.spec, patch_bundle.select(), Tiling(64, 64, 0)
    here = TiledSession(LocalDevice().load(patch_bundle, file, threads=1), spec, tiling)
    expected = list(here.detect(paths))
    with serve(Agent, tmp_path / "cache") as (url, token), closing(open_device(url, token)) as device:
        session = TiledSession(device.load(patch_bundle, file, threads=1), spec, tiling)
        session.golden()
        found = list(session.detect(paths))
    assert [len(frame.detections) for frame in found] == [5, 10, 15]
    for one, other in zip(expected, found, strict=True):
        assert (one.image, one.height, one.width) == (other.image, other.height, other.width)
        np.testing.assert_allclose(one.detections.boxes_xyxy, other.detections.boxes_xyxy, atol=1e-4)
        np.testing.assert_array_equal(one.detections.labels, other.detections.labels)
