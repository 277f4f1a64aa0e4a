"""Faults of the machine in a run: one line with the cause and the way to go on, whatever part meets them."""

import errno
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mobiledet import cli
from mobiledet.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mobiledet.detectors import detector_from_spec
from mobiledet.errors import UserError
from mobiledet.files.atomic import DiskFull
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet.training import engine, loggers
from mobiledet.training.config import TrainConfig
from mobiledet.training.faults import faults_as_user_errors, memory_errors_as_user_errors

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (FULL, "cannot write run: no space left on the disk; resume with: mobiledet train --resume run"),
        (OSError(errno.EIO, "Input/output error"), "cannot write run: input/output error; resume with: "),
        (
            DiskFull("cannot write run/last.ckpt: no space left"),
            "no space left; free some space and resume with: mobiledet train",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            "a process that loads images was killed",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ..."),
            "found no shared memory; give the container more (docker run --shm-size=2g), or --workers 0; resume with: ",
        ),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "a process that loads images was killed"),
        (
            RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1"),
            "another process of the run has ended; resume with: mobiledet train --resume run",
        ),
    ],
)
def test_faults_of_the_machine(fault: Exception, told: str) -> None:
    with pytest.raises(UserError) as error, faults_as_user_errors(Path("run"), processes=2):
        raise fault
    assert told in str(error.value)


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), faults_as_user_errors(Path("run"), processes=1):
        raise RuntimeError("size mismatch")
    with pytest.raises(RuntimeError, match="Connection closed"), faults_as_user_errors(Path("run"), processes=1):
        raise RuntimeError("Connection closed by peer")


@pytest.mark.parametrize(
    "fault",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ..."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB, other allocations: 8 GB, max allowed: 18 GB)."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError("Caught MemoryError in DataLoader worker process 0."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_want_of_memory_says_what_to_lower(fault: Exception) -> None:
    with (
        pytest.raises(UserError) as error,
        memory_errors_as_user_errors(TrainConfig(batch_size=32)),
        faults_as_user_errors(Path("run"), processes=1),
    ):
        raise fault
    assert ("GPU memory" in str(error.value)) == isinstance(fault, RuntimeError)
    for words in ("lower --batch-size (now 32)", "--image-size (now 320)", "raise --accumulate (now 1)"):
        assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_memory_that_really_runs_out_is_told() -> None:
    """More than any machine has, of torch's own allocator and of NumPy's."""
    for allocate in (lambda: torch.empty(1 << 50), lambda: np.ones(1 << 50)):
        with (
            pytest.raises(UserError, match="the main memory has run out; lower --batch-size"),
            memory_errors_as_user_errors(TrainConfig(batch_size=32)),
        ):
            allocate()


def test_a_batch_too_large_for_memory_ends_the_command_with_2(
    tiny_shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def step(*arguments: object) -> None:
        torch.empty(1 << 50)

    monkeypatch.setattr(engine, "train_step", step)
    network = ["--backbone", "shufflenet_v2_0.5x", "--image-size", "64", "--epochs", "1", "--batch-size", "8"]
    options = ["--data", str(tiny_shapes), "--workers", "0", "--accelerator", "cpu", "--out", str(tmp_path / "run")]
    assert cli.main(["train", *network, *options]) == 2
    told = capsys.readouterr().err
    assert "memory has run out; lower --batch-size (now 8) or --image-size (now 64)" in told
    assert "Traceback" not in told


def test_a_checkpoint_on_a_full_disk_says_so_and_leaves_the_old_one(tmp_path: Path) -> None:
    """torch tells it as "unexpected pos". A limit for the size of one file stands for the disk."""
    spec = ModelSpec("tiny", "shufflenet_v2_0.5x", "ssdlite", InputSpec(64, 64), ("cat",), (1,))
    path = tmp_path / "last.ckpt"
    checkpoint = Checkpoint(spec, detector_from_spec(spec).state_dict())
    save_checkpoint(path, checkpoint)
    content = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(DiskFull, match=r"cannot write .*last\.ckpt: no space left on the disk|file too large"):
            save_checkpoint(path, checkpoint, tmp_path / "previous.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    load_checkpoint(path)


@pytest.mark.slow
def test_a_full_disk_under_the_tensorboard_log(
    settings: Callable[[Path], TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its writer meets the disk in a thread of its own."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    steps: list[int] = []

    def write(self: RecordWriter, data: bytes) -> None:
        steps.append(1)
        if len(steps) > 3:
            raise FULL

    monkeypatch.setattr(RecordWriter, "write", write)
    with pytest.raises(UserError, match=r"cannot write .*run: no space left on the disk; resume with: .*--resume"):
        engine.train(settings(tmp_path / "run"))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_the_command_line_ends_with_2(tiny_shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise FULL

    monkeypatch.setattr(loggers, "append_point", full)
    network = ["--backbone", "shufflenet_v2_0.5x", "--image-size", "64", "--epochs", "1", "--batch-size", "8"]
    options = ["--data", str(tiny_shapes), "--workers", "0", "--accelerator", "cpu", "--out", str(tmp_path / "run")]
    assert cli.main(["train", *network, *options]) == 2


@pytest.mark.parametrize(
    "options",
    [
        ["train", "--workers", "20000"],
        ["train", "--epochs", str(2**70)],
        ["train", "--lr", "inf"],
        ["train", "--weight-decay", "nan"],
        ["train", "--image-size", "320000000"],
        ["train", "--devices", str(2**31)],
    ],
)
def test_numbers_of_the_command_line_have_bounds(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(options) == 2
    assert options[1] in capsys.readouterr().err


def test_a_run_that_is_being_trained_is_not_resumed(tiny_shapes: Path, tmp_path: Path) -> None:
    """Before its checkpoints are looked at."""
    program = (
        "import sys, time; from pathlib import Path; from mobiledet.training.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(60)\n"
    )
    run = tmp_path / "run"
    holder = subprocess.Popen([sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        config = TrainConfig(data=str(tiny_shapes), image_size=64, batch_size=8, workers=0, accelerator="cpu", out=run)
        with pytest.raises(UserError, match=rf"run is in use: process {holder.pid} on .* is training there"):
            engine.train(config)
    finally:
        holder.kill()
        holder.wait()
