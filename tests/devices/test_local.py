import dataclasses
import mmap
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet.bundle import Bundle
from mobiledet.devices import DEVICES, open_device
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec

QUICK = BenchmarkPlan(warmup_runs=2, warmup_seconds=0, warmup_limit_seconds=0, runs=7, seconds=0)


def test_table_of_devices() -> None:
    assert {"local", "http"} <= set(DEVICES)
    assert isinstance(open_device("local"), LocalDevice)
    for address in ("fridge:1", "ftp://10.0.0.1:80", "local:1"):
        with pytest.raises(UserError, match=f"unknown device '{address}'"):
            open_device(address)
    with pytest.raises(UserError, match="--mode tensor needs an agent"):
        open_device("local", mode="tensor")


def test_info_agrees_with_the_system() -> None:
    info = LocalDevice().info()
    assert info.name == "local"
    assert platform.release() in info.os
    assert 1 <= info.cores <= (os.cpu_count() or 1)
    assert info.cpu
    assert info.runtime == "litert"
    assert int(info.runtime_version.split(".")[0]) >= 2


def test_state_sees_memory_grow() -> None:
    before = LocalDevice().state()
    ballast_bytes = 64 << 20
    # pages of its own: an array may be given memory that earlier tests left with the process
    ballast = mmap.mmap(-1, ballast_bytes)
    ballast.write(b"\x01" * ballast_bytes)
    during = LocalDevice().state()
    assert before.memory_bytes is not None
    assert during.memory_bytes is not None
    assert during.memory_bytes - before.memory_bytes > 0.9 * ballast_bytes
    ballast.close()
    after = LocalDevice().state()
    assert after.peak_memory_bytes is not None
    # the kernel updates both counters lazily
    assert after.peak_memory_bytes > 0.99 * during.memory_bytes
    assert after.memory_bytes is not None
    assert after.memory_bytes < after.peak_memory_bytes - ballast_bytes / 2
    assert after.load is not None


def test_golden_passes(patch_bundle: Bundle) -> None:
    session = LocalDevice().load(patch_bundle, patch_bundle.select("float32"))
    report = session.golden()
    assert (report.cases, report.detections) == (2, 4)
    assert report.lowest_iou > 0.9999
    assert report.largest_score_difference < 1e-5


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("silent", "does not reproduce the outputs of model.float32.tflite: it detects nothing at all"),
        ("shifted", r"tflite: its boxes are shifted by \(\+0\.050, \+0\.050\).* misses red"),
        ("not_a_number", "not finite"),
    ],
)
def test_golden_refuses(tmp_path: Path, write_patch_bundle: Callable[..., Bundle], variant: str, reason: str) -> None:
    bundle = write_patch_bundle(tmp_path, variant)
    session = LocalDevice().load(bundle, bundle.files[0])
    with pytest.raises(UserError, match=reason):
        session.golden()


def test_detect_gives_pixels_times_and_problems(
    tmp_path: Path, patch_bundle: Bundle, paint_cells: Callable[..., np.ndarray]
) -> None:
    Image.fromarray(paint_cells([(1, 2, 0), (6, 3, 2)], 320, 160)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff no picture")
    Image.fromarray(paint_cells([], 100, 100)).save(tmp_path / "c.png")
    paths = [tmp_path / name for name in ("a.png", "b.jpg", "c.png")]
    session = LocalDevice().load(patch_bundle, patch_bundle.select())
    started = time.perf_counter_ns()
    frames = list(session.detect(paths))
    spent = time.perf_counter_ns() - started
    assert [frame.image for frame in frames] == paths
    assert [(frame.height, frame.width) for frame in frames] == [(160, 320), (0, 0), (100, 100)]
    boxes = frames[0].detections.boxes_xyxy[np.argsort(frames[0].detections.labels)]
    np.testing.assert_allclose(boxes, [[80, 20, 120, 40], [120, 120, 160, 140]], atol=1e-3)
    assert (frames[1].times, len(frames[1].detections)) == (None, 0)
    assert "b.jpg" in frames[1].problem
    assert len(frames[2].detections) == 0
    total = 0
    for frame in (frames[0], frames[2]):
        assert frame.times is not None
        stages = (frame.times.decode, frame.times.preprocess, frame.times.infer, frame.times.postprocess)
        assert min(stages) > 0
        total += sum(stages)
    assert total < spent


def test_orientation_is_applied_on_demand(
    tmp_path: Path, patch_bundle: Bundle, paint_cells: Callable[..., np.ndarray]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to look at it
    picture = paint_cells([(0, 0, 1)], 160, 80)  # the top left cell, 20 x 10 pixels
    Image.fromarray(picture).save(tmp_path / "turned.jpg", exif=exif, quality=95, subsampling=0)
    session = LocalDevice().load(patch_bundle, patch_bundle.select())
    (stored,) = session.detect([tmp_path / "turned.jpg"])
    np.testing.assert_allclose(stored.detections.boxes_xyxy, [[0, 0, 20, 10]], atol=1e-3)
    (upright,) = session.detect([tmp_path / "turned.jpg"], apply_orientation=True)
    np.testing.assert_allclose(upright.detections.boxes_xyxy, [[70, 0, 80, 20]], atol=1e-3)


def test_benchmark_keeps_to_its_plan(patch_bundle: Bundle) -> None:
    session = LocalDevice().load(patch_bundle, patch_bundle.select(), "cpu", threads=1)
    samples = session.benchmark(QUICK)
    assert (len(samples.infer_ns), len(samples.warmup_ns), len(samples.states)) == (7, 2, 2)
    assert min(samples.infer_ns) > 0
    assert len(samples.cold_starts) == 3
    for cold in samples.cold_starts:
        assert cold.load_ns > 0
        assert cold.first_infer_ns > 0
        assert cold.memory_bytes is not None
    started = time.perf_counter()
    timed = session.benchmark(BenchmarkPlan(warmup_runs=1, warmup_seconds=0.1, runs=1, seconds=0.3))
    assert time.perf_counter() - started > 0.4
    assert len(timed.warmup_ns) > 1
    assert len(timed.infer_ns) > 1


def test_process_that_dies_without_a_word(patch_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    session = LocalDevice().load(patch_bundle, patch_bundle.select())
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(UserError, match="cannot be run in a fresh process: it ended with status 1"):
        session.benchmark(QUICK)


def test_execution_says_what_really_runs(patch_bundle: Bundle) -> None:
    execution = LocalDevice().load(patch_bundle, patch_bundle.select(), "auto", threads=0).execution
    assert (execution.requested, execution.actual) == ("auto", "xnnpack")
    assert execution.threads == LocalDevice().info().cores
    execution = LocalDevice().load(patch_bundle, patch_bundle.select(), "cpu", threads=1).execution
    assert (execution.actual, execution.delegated_share, execution.threads) == ("cpu", 0, 1)


def test_file_of_another_size_than_the_bundle_says(patch_bundle: Bundle) -> None:
    spec = dataclasses.replace(patch_bundle.spec, input=InputSpec(64, 96))
    changed = dataclasses.replace(patch_bundle, spec=spec)
    with pytest.raises(UserError, match=r"takes 64 x 64 pixels, bundle\.json says 64 x 96"):
        LocalDevice().load(changed, changed.files[0])


def test_other_formats_do_not_run_here(patch_bundle: Bundle) -> None:
    file = dataclasses.replace(patch_bundle.files[0], format="onnx")
    with pytest.raises(UserError, match="this machine runs tflite, coreml and coreai files"):
        LocalDevice().load(patch_bundle, file)
