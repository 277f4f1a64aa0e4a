"""Converters as processes: real ones that answer, fail and crash."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.errors import UserError
from mobiledet_converters import process
from mobiledet_converters.job import ConversionJob, ConvertedFile
from mobiledet_converters.process import Conversion, require_converter

PREAMBLE = """
import os, signal, sys
from mobiledet.errors import UserError
from mobiledet_converters.job import ConvertedFile, serve

def convert(job):
    job.announce("trying hard")
    print("some log")
"""

Start = Callable[[str], Conversion]


@pytest.fixture
def job(tmp_path: Path) -> ConversionJob:
    (tmp_path / "work").mkdir()
    return ConversionJob(tmp_path / "x.ckpt", tmp_path / "work", ("float32",), {"iou": 0.6})


@pytest.fixture
def started(job: ConversionJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a converter whose body is given."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(process.CONVERTERS, "tflite", ("own_converter", ()))

    def start(body: str) -> Conversion:
        (tmp_path / "own_converter.py").write_text(f"{PREAMBLE}    {body}\n\nserve(convert)\n")
        return Conversion("tflite", job)

    return start


def test_answer_comes_back(started: Start, job: ConversionJob) -> None:
    with started("return [ConvertedFile('a.tflite', job.precisions[0], {'iou': job.nms['iou']})]") as conversion:
        answer = conversion.answer()
    assert answer.files == (ConvertedFile("a.tflite", "float32", {"iou": 0.6}),)
    assert answer.peak_memory_bytes > 10_000_000
    assert conversion.step == "trying hard"
    assert not conversion.running


def test_user_error_comes_through(started: Start) -> None:
    with started("raise UserError('the checkpoint is blue')") as conversion, pytest.raises(UserError, match="is blue"):
        conversion.answer()


def test_crash_is_survived_and_named(started: Start) -> None:
    with (
        started("os.kill(os.getpid(), signal.SIGSEGV)") as conversion,
        pytest.raises(UserError, match="tflite converter failed while trying hard: it crashed with signal SIGSEGV"),
    ):
        conversion.answer()


def test_unforeseen_failure_shows_its_log(started: Start, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        started("raise KeyError('deep inside')") as conversion,
        pytest.raises(UserError, match="KeyError: 'deep inside'"),
    ):
        conversion.answer()
    log = capfd.readouterr().err
    assert "some log" in log
    assert "Traceback" in log


@pytest.mark.parametrize(
    "body",
    [
        "raise OSError(28, 'No space left on device')",
        "sys.stderr.write('LLVM ERROR: IO failure on output stream: No space left on device'); os._exit(1)",
    ],
)
def test_full_disk_is_told_in_one_line(started: Start, capfd: pytest.CaptureFixture[str], body: str) -> None:
    with (
        started(body) as conversion,
        pytest.raises(UserError, match="converter failed while trying hard: no space left on the disk; choose another"),
    ):
        conversion.answer()
    assert capfd.readouterr().err == ""


def test_running_process_is_ended(started: Start) -> None:
    with started("import time; time.sleep(100)") as conversion:
        assert conversion.running
    assert not conversion.running


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    require_converter("coreml")
    monkeypatch.setitem(process.CONVERTERS, "coreml", ("x", ("a_package_that_is_not_there",)))
    with pytest.raises(UserError, match=r"pip install 'mobiledet\[coreml\]'"):
        require_converter("coreml")
