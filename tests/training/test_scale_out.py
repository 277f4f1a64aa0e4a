"""One process, two processes and a batch in parts are the same training."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mobiledet.checkpoint import load_checkpoint
from mobiledet.errors import UserError
from mobiledet.training.config import TrainConfig
from mobiledet.training.launch import adopt_environment, launched_world

SCRIPT = Path(__file__).parent / "norm_free_run.py"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def two_nodes() -> list[list[str]]:
    """The launchers of two machines, which are this one twice."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = ["--master-addr=127.0.0.1", f"--master-port={free.getsockname()[1]}"]
    return [[*TORCHRUN, "--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1", *address] for rank in range(2)]


def run(data: Path, folder: Path, *options: str, launchers: list[list[str]]) -> list[dict[str, Any]]:
    """Train two epochs, with one command for each launcher; returns the records of all processes."""
    arguments = [
        f"--data={data}",
        f"--out={folder / 'run'}",
        "--backbone=shufflenet_v2_0.5x",
        "--image-size=64",
        "--epochs=2",
        "--batch-size=8",
        "--ema-decay=0.9",
        "--workers=0",
        "--accelerator=cpu",
        *options,
    ]
    folder.mkdir()
    commands = [[*launcher, str(SCRIPT), str(folder / "record"), *arguments] for launcher in launchers]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), errors
    return [json.loads(path.read_text()) for path in sorted(folder.glob("record.*.json"))]


@pytest.fixture(scope="module")
def equal_boxes(tiny_shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny set with boxes at the same places in each image: a loss is a mean over the foreground anchors of its own
    part of the batch, and the means of parts are that of the whole if the parts have equally many."""
    folder = tmp_path_factory.mktemp("data") / "equal"
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (folder / f"{split}2017").symlink_to(tiny_shapes / f"{split}2017")
        name = f"annotations/instances_{split}2017.json"
        listing = json.loads((tiny_shapes / name).read_text())
        labels = [category["id"] for category in listing["categories"]]
        listing["annotations"] = []
        for image in listing["images"]:
            for place, (x, y) in enumerate([(0.1, 0.2), (0.5, 0.6)]):
                width, height = image["width"] * 0.3, image["height"] * 0.25
                listing["annotations"].append(
                    {
                        "id": len(listing["annotations"]) + 1,
                        "image_id": image["id"],
                        "category_id": labels[(image["id"] + place) % len(labels)],
                        "bbox": [image["width"] * x, image["height"] * y, width, height],
                        "area": width * height,
                        "iscrowd": 0,
                    }
                )
        (folder / name).write_text(json.dumps(listing))
    return folder


PLAIN = ("--augmentation=flip",)


@pytest.fixture(scope="module")
def alone(equal_boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of one process."""
    return run(equal_boxes, tmp_path_factory.mktemp("runs") / "alone", *PLAIN, launchers=[[sys.executable]])[0]


def assert_same_training(records: list[dict[str, Any]], alone: dict[str, Any]) -> None:
    assert len(alone["steps"]) == 6
    for step, expected in enumerate(alone["steps"]):
        shares = [record["steps"][step] for record in records]
        assert sorted(image for share in shares for image in share["images"]) == sorted(expected["images"])
        for name, loss in expected["losses"].items():
            mean = sum(share["losses"][name] for share in shares) / len(shares)
            assert mean == pytest.approx(loss, rel=1e-4), (step, name)
    assert all(record["AP"] == records[0]["AP"] for record in records)
    assert records[0]["AP"] == pytest.approx(alone["AP"], abs=1e-3)
    logs = [
        [json.loads(line)["loss"] for line in (Path(record["folder"]) / "metrics.jsonl").read_text().splitlines()]
        for record in (records[0], alone)
    ]
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)


@pytest.mark.parametrize(
    "launchers",
    [
        pytest.param(two_nodes(), id="two nodes", marks=pytest.mark.exhaustive),
        pytest.param([[*TORCHRUN, "--standalone", "--nproc-per-node=2"]], id="one", marks=pytest.mark.exhaustive),
    ],
)
def test_two_processes_of_torchrun(
    launchers: list[list[str]], equal_boxes: Path, alone: dict[str, Any], tmp_path: Path
) -> None:
    records = run(equal_boxes, tmp_path / "two", *PLAIN, launchers=launchers)
    assert len(records) == 2
    assert_same_training(records, alone)
    training = load_checkpoint(Path(records[0]["folder"]) / "last.ckpt").training
    assert training is not None
    assert len(training["processes"]) == 2


def test_batch_in_parts(equal_boxes: Path, alone: dict[str, Any], tmp_path: Path) -> None:
    records = run(equal_boxes, tmp_path / "parts", *PLAIN, "--accumulate=2", launchers=[[sys.executable]])
    assert_same_training(records, alone)
    # the parts follow each other in the order of the batch
    assert [step["images"] for step in records[0]["steps"]] == [step["images"] for step in alone["steps"]]


def test_environment_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched_world() is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    config = adopt_environment(TrainConfig())
    assert (config.devices, config.nodes) == (4, 2)


def test_environment_of_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_NTASKS": "6", "SLURM_NNODES": "3", "SLURM_JOB_NAME": "train"}.items():
        monkeypatch.setenv(name, value)
    config = adopt_environment(TrainConfig())
    assert (config.devices, config.nodes) == (2, 3)


def test_several_machines_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    for name in ("MASTER_PORT", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="--nodes 2 needs MASTER_PORT, NODE_RANK in the environment"):
        adopt_environment(TrainConfig(nodes=2))
    for name in ("MASTER_PORT", "NODE_RANK"):
        monkeypatch.setenv(name, "0")
    assert adopt_environment(TrainConfig(nodes=2)).nodes == 2
    assert os.environ["MASTER_ADDR"] == "10.0.0.1"
