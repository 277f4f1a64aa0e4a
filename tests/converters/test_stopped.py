"""Exports that a full disk or a signal ends: nothing half is left, and what was there stays."""

import dataclasses
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mobiledet.bundle import Bundle, open_bundle, write_bundle
from mobiledet.cli import main
from mobiledet_converters import export as export_module
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export
from mobiledet_converters.job import ANSWER

DEADLINE_S = 300  # the machine may be busy
STOPPED_S = 20

Wait = Callable[[Path], bool]


def arguments(config: ExportConfig, *precisions: str) -> list[str]:
    """The command ``mobiledet export`` that replaces the bundle."""
    return [
        "export",
        str(config.checkpoint),
        f"--out={config.out}",
        f"--images={config.images}",
        f"--calibration={config.calibration}",
        "--no-judge",
        "--overwrite",
        "--format=tflite",
        "--precision",
        *precisions,
    ]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file that this process writes may grow beyond it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def existing(ready_made: None, config: ExportConfig) -> Iterator[Bundle]:
    """A bundle that must outlive the test, alone in its folder."""
    bundle = export(dataclasses.replace(config, formats=("tflite",), precisions=("float16",)))
    yield bundle
    assert open_bundle(bundle.path).sha256 == bundle.sha256
    assert list(bundle.path.parent.iterdir()) == [bundle.path]


def require_one_line(printed: str, reason: str) -> None:
    assert re.fullmatch(rf"error: cannot write .*x\.mobiledet: {reason}; .*\n", printed), printed


def test_disk_that_is_full_at_the_start(
    existing: Bundle, config: ExportConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    with largest_file(100_000):  # calibration.npy is larger
        assert main(arguments(config, "int8")) == 2
    require_one_line(capsys.readouterr().err, "file too large")


def test_disk_that_is_full_in_the_end(
    existing: Bundle, config: ExportConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*values: Any) -> Bundle:
        with largest_file(100_000):
            return write_bundle(*values)

    monkeypatch.setattr(export_module, "write_bundle", write)
    assert main(arguments(config, "float32")) == 2
    require_one_line(capsys.readouterr().err, "file too large")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The folder of the bundle as a file system of 8 MB."""
    folder = tmp_path / "out"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("file systems can be mounted by root alone")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_disk_without_space(
    small_disk: Path, existing: Bundle, config: ExportConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(config, "float32", "int8")) == 2
    require_one_line(capsys.readouterr().err, "no space left on device")


@pytest.mark.exhaustive
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_disk_without_space_for_the_converter(
    small_disk: Path, existing: Bundle, config: ExportConfig, precision: str
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 700_000))  # calibration.npy has 440 KB
    command = [sys.executable, "-m", "mobiledet.cli", *arguments(config, precision)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    filler.unlink()
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(r"error: .*(full|no space left).*\n", done.stderr), done.stderr


def has_started(folder: Path) -> bool:
    return any(folder.glob(".x.mobiledet.*.work"))


def has_converted(folder: Path) -> bool:
    return any(folder.glob(f".x.mobiledet.*.work/tflite/{ANSWER}"))


@pytest.mark.parametrize(
    ("signum", "moment"),
    [
        (signal.SIGTERM, has_started),
        *(
            pytest.param(*case, marks=pytest.mark.exhaustive)
            for case in ((signal.SIGINT, has_started), (signal.SIGINT, has_converted), (signal.SIGTERM, has_converted))
        ),
    ],
)
def test_signal_leaves_what_was_there(existing: Bundle, config: ExportConfig, signum: int, moment: Wait) -> None:
    command = [sys.executable, "-m", "mobiledet.cli", *arguments(config, "float32")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        deadline = time.monotonic() + DEADLINE_S
        while not moment(existing.path.parent):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signum)
        _, errors = process.communicate(timeout=STOPPED_S)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
