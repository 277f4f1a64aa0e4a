"""Every record that comes from outside, mutated by type: read, or refused in one line."""

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Trials
from mutations import mutated, mutated_bytes, mutated_text

from mobiledet.bundle import Bundle, ModelFile, open_bundle, write_bundle
from mobiledet.checkpoint import Checkpoint, check_size, load_checkpoint, save_checkpoint
from mobiledet.data.coco import load_coco
from mobiledet.detectors import detector_from_spec
from mobiledet.devices.agent.answers import read_lines
from mobiledet.devices.agent.messages import AgentInfo, BenchRequest, JobInfo, SessionRequest, from_bytes
from mobiledet.devices.base import (
    BenchmarkPlan,
    BenchmarkSamples,
    ColdStart,
    DeviceInfo,
    DeviceState,
    Execution,
    GoldenReport,
    StageTimes,
)
from mobiledet.errors import UserError
from mobiledet.evaluation.detection_log import Origin, open_log, read_detections
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.report import write_report
from mobiledet.evaluation.result import Accuracy, Latency, Result, read_result
from mobiledet.files.checksums import write_checksums
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance
from mobiledet.metrics.coco import CocoMetrics
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet.sweep.journal import Journal
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import read_points
from mobiledet.training.run_folder import RunFolder, config_to_json

SPEC = ModelSpec("tiny", "shufflenet_v2_0.5x", "ssdlite", InputSpec(32, 32), ("cat", "dog"), (1, 7))
DEVICE = DeviceInfo("local", "board", "Linux", "cpu", 4, "litert", "2")
EXECUTION = Execution("auto", "xnnpack", 0.5, 1)
STATE = DeviceState(1, 2, {"zone": 40.0}, None, 0.5)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One that is sound but for its model file, which nobody runs here."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "model").write_bytes(b"model")
    outputs = GoldenOutputs(
        np.array([[0.1, 0.2, 0.5, 0.6]], np.float32), np.array([1], np.int64), np.array([0.75], np.float32)
    )
    golden = GoldenFile((outputs,), "litert", Tolerance(0.9, 0.01), Tolerance(0.9, 0.05))
    case = GoldenInput.of_pixels(np.zeros((32, 32, 3), np.uint8))
    file = ModelFile("model.float32.tflite", "tflite", "float32", 0, "", parity={"checked": "x"})
    return write_bundle(folder / "x.mobiledet", SPEC, [(folder / "model", file)], Golden((case,), {file.path: golden}))


def _use_bundle(path: Path) -> None:
    opened = open_bundle(path)
    for file in opened.files:
        opened.golden(opened.select(file.path))


def test_bundles(trials: Trials, bundle: Bundle) -> None:
    """bundle.json and golden.json whose checksums fit, as whoever makes a bundle to do harm would have them."""
    for name in ("bundle.json", "golden/golden.json"):
        path = bundle.root / name
        sound = path.read_bytes()
        try:
            for _ in range(trials.count(150, 2000)):
                path.write_bytes(mutated_text(json.loads(sound), trials.rng))
                write_checksums(bundle.root)
                trials.attempt(lambda: _use_bundle(bundle.root))
        finally:
            path.write_bytes(sound)
            write_checksums(bundle.root)
    _use_bundle(bundle.root)


def test_bundles_with_changed_bytes(trials: Trials, bundle: Bundle) -> None:
    """Without a fitting checksum nothing that was changed passes."""
    for path in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
        sound = path.read_bytes()
        try:
            for _ in range(trials.count(15, 200)):
                changed = mutated_bytes(sound, trials.rng)
                path.write_bytes(changed)
                passed = trials.attempt(lambda: _use_bundle(bundle.root))
                assert not passed or changed == sound
        finally:
            path.write_bytes(sound)


def _result() -> Result:
    stats = LatencyStats.of([1_000_000 + 1000 * i for i in range(30)])
    stages = {stage.name: stats for stage in dataclasses.fields(StageTimes)}
    numbers = dict.fromkeys(
        ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"), 0.5
    )
    latency = Latency(
        infer=stats,
        plan=BenchmarkPlan(),
        started_ns=tuple(range(0, 60_000_000, 2_000_000)),
        warmup_ns=(5, 6),
        steady=True,
        cold_starts=(ColdStart(5, 6, 7),),
        states=(STATE, STATE),
        state_ns=(-1, 70_000_000),
    )
    return Result(
        created="2026-11-28T00:00:00+00:00",
        command="mobiledet evaluate x",
        bundle="x.mobiledet",
        bundle_sha256="a" * 64,
        spec=SPEC,
        file=ModelFile("model.float32.tflite", "tflite", "float32", 5, "b" * 64),
        device=DEVICE,
        execution=EXECUTION,
        golden=GoldenReport(1, 1, 1.0, 0.0),
        accuracy=Accuracy(
            CocoMetrics(**numbers, per_class={"cat": 0.5, "dog": -1}, images=3, detections=4),  # type: ignore[arg-type]
            "val",
            "x.json",
            "c" * 64,
            (),
            "pycocotools",
            "image",
            stages,
        ),
        latency=latency,
        versions={"mobiledet": "0"},
    )


def test_results(trials: Trials, tmp_path: Path) -> None:
    sound = json.loads(json.dumps(_result().to_json()))
    path = tmp_path / "x.json"
    path.write_text(json.dumps(sound))
    read_result(path)
    read = []
    for _ in range(trials.count(300, 3000)):
        path.write_bytes(mutated_text(sound, trials.rng))
        if trials.attempt(lambda: read.append(read_result(path))) and len(read) % 10 == 0:
            trials.attempt(lambda: write_report(read[-1:], tmp_path / "report.html"))  # what is read can be drawn
    assert read


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("latency", "infer", "samples_ns"), [0] * 30),
        (("latency", "infer", "samples_ns", 3), -5),
        (("latency", "infer", "p50_ms"), float("nan")),
        (("latency", "infer", "p50_ms"), 0.5),
        (("latency", "infer", "min_ms"), -1),
        (("latency", "infer", "p90_ms"), float("inf")),
        (("latency", "cold_starts"), []),
        (("latency", "cold_starts", 0, "load_ns"), -5),
        (("latency", "started_ns"), [1]),
        (("accuracy", "metrics", "AP"), 1.5),
        (("accuracy", "metrics", "AP"), -0.5),
        (("accuracy", "stages"), {}),
        (("spec", "labels"), "cat"),
        (("spec", "category_ids"), [1.0, 7]),
        (("spec", "name"), None),
        (("file", "bytes"), -1),
        (("execution", "threads"), 2**31),
        (("extra",), 1),
        (("created",), "yesterday"),
    ],
)
def test_results_that_no_evaluation_gives(path: tuple[Any, ...], value: Any, tmp_path: Path, trials: Trials) -> None:
    values = json.loads(json.dumps(_result().to_json()))
    holder = values
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    (tmp_path / "x.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="is a damaged result"):
        read_result(tmp_path / "x.json")
    trials.held(refused=True)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "x.ckpt"
    save_checkpoint(path, Checkpoint(SPEC, detector_from_spec(SPEC).state_dict(), {"epoch": 1}))
    return path


def test_checkpoint_heads(trials: Trials, checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    path = tmp_path / "x.ckpt"
    small = dict(list(content["weights"].items())[:2])

    def use(weights: dict[str, torch.Tensor]) -> None:
        loaded = load_checkpoint(path)
        if weights is not small:
            check_size(loaded, path)

    for index in range(trials.count(60, 2000)):
        weights = content["weights"] if index % 20 == 0 else small
        head: dict[str, Any] = {**content, "weights": weights}
        if index % 4:
            head["spec"] = mutated_text(json.loads(content["spec"]), trials.rng).decode(errors="surrogateescape")
        else:
            plain = {key: value for key, value in head.items() if key != "weights"}
            changed = mutated(plain, trials.rng)
            head = {**changed, "weights": weights} if isinstance(changed, dict) else changed
        try:
            torch.save(head, path)
        except (UnicodeEncodeError, OverflowError):  # not even pickle writes that
            continue
        trials.attempt(partial(use, weights))


def test_checkpoints_with_changed_bytes(trials: Trials, checkpoint: Path, tmp_path: Path) -> None:
    sound = checkpoint.read_bytes()
    path = tmp_path / "x.ckpt"
    for _ in range(trials.count(10, 300)):
        path.write_bytes(mutated_bytes(sound, trials.rng))
        trials.attempt(lambda: load_checkpoint(path))


def test_annotation_files(trials: Trials, patch_data: Path, tmp_path: Path) -> None:
    images = patch_data / "val2017"
    sound = json.loads((patch_data / "annotations" / "instances_val2017.json").read_text())
    path = tmp_path / "x.json"
    for index in range(trials.count(200, 3000)):
        path.write_bytes(mutated_text(sound, trials.rng))
        trials.attempt(partial(load_coco, images, path, "skip" if index % 2 else "error"))


def test_detection_logs(trials: Trials, tmp_path: Path) -> None:
    origin = Origin("b" * 64, "model.tflite", DEVICE, EXECUTION, "image", "i" * 64, ("a", "b"))
    samples = BenchmarkSamples((5, 6), (0, 7), (5,), True, (ColdStart(1, 2, 3),), (STATE, STATE), (-1, 20))
    header = {"kind": "mobiledet detections", "schema_version": 1, "origin": dataclasses.asdict(origin)}
    benchmark = {"plan": dataclasses.asdict(BenchmarkPlan()), "samples": dataclasses.asdict(samples)}
    image = {
        "image_id": 3,
        "height": 5,
        "width": 6,
        "boxes": [[1, 2, 3, 4.5]],
        "scores": [0.5],
        "labels": [1],
        "times": {"decode": 1, "preprocess": 2, "infer": 3, "postprocess": 4},
    }
    sound = json.loads(json.dumps([header, benchmark, image]))
    path = tmp_path / "x.partial"

    def use() -> None:
        with open_log(path, origin):
            pass

    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in sound))
    use()
    for _ in range(trials.count(200, 2000)):
        lines = [json.dumps(line).encode() for line in sound]
        chosen = trials.rng.randrange(len(lines))
        lines[chosen] = mutated_text(sound[chosen], trials.rng)
        path.write_bytes(b"\n".join([*lines, b""]))
        trials.attempt(use)
        trials.attempt(lambda: read_detections(path))


def test_settings_of_runs(trials: Trials, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    sound = json.loads(json.dumps({"config": config_to_json(TrainConfig()), "environment": {}, "started": "now"}))
    for _ in range(trials.count(100, 1000)):
        (tmp_path / "config.json").write_bytes(mutated_text(sound, trials.rng))
        trials.attempt(folder.load_config)


def test_logs_of_runs(trials: Trials, tmp_path: Path) -> None:
    """A line that cannot be read is left out."""
    point = {"step": 1, "epoch": 0.5, "epoch_steps": 1, "lr": 0.1, "images_per_s": 9.0, "losses": {"class": 1.0}}
    folder = RunFolder(tmp_path)
    for _ in range(trials.count(50, 500)):
        folder.curves.write_bytes(mutated_text(point, trials.rng) + b"\n" + json.dumps(point).encode() + b"\n")
        folder.metrics.write_bytes(mutated_text({"epoch": 1, "loss": 0.5}, trials.rng) + b"\n")
        trials.attempt(lambda: read_points(folder.curves))
        trials.attempt(lambda: folder.rewind(3))


def test_journals_of_sweeps(trials: Trials, tmp_path: Path) -> None:
    outcome = {"status": "done", "reason": "", "seconds": 1.5, "arguments": ["train"], "source": ""}
    sound = {"kind": "mobiledet sweep", "steps": {"train-x": outcome}}
    path = tmp_path / "sweep.json"
    for _ in range(trials.count(100, 1000)):
        path.write_bytes(mutated_text(sound, trials.rng))
        trials.attempt(lambda: Journal(path))


def test_messages_of_hosts_and_agents(trials: Trials) -> None:
    samples = BenchmarkSamples((5, 6), (0, 7), (5,), True, (ColdStart(1, 2, 3),), (STATE, STATE), (-1, 20))
    limits = {"body_bytes": 1, "bundle_bytes": 1, "sessions": 1, "idle_seconds": 1, "wait_seconds": 1}
    info = {"protocol": 1, "agent": "x", "device": dataclasses.asdict(DEVICE), "accelerators": ["a"], "limits": limits}
    sound: list[tuple[Any, Any]] = [
        (SessionRequest, {"key": "k", "bundle": "b", "file": "f", "accelerator": "auto", "threads": 1}),
        (BenchRequest, {"key": "k", "plan": dataclasses.asdict(BenchmarkPlan())}),
        (JobInfo, {"id": "i", "status": "done", "samples": dataclasses.asdict(samples), "error": None}),
        (AgentInfo, info),
    ]
    line = {
        "index": 0,
        "height": 5,
        "width": 6,
        "boxes": [[1, 2, 3, 4]],
        "scores": [0.5],
        "labels": [1],
        "times": {"decode": 1, "preprocess": 2, "infer": 3, "postprocess": 4},
        "problem": "",
    }

    def read(kind: Any, content: bytes) -> None:
        try:
            from_bytes(kind, content)
        except ValueError as error:
            raise UserError(str(error)) from error

    for index in range(trials.count(300, 3000)):
        kind, message = sound[index % len(sound)]
        content = mutated_text(json.loads(json.dumps(message)), trials.rng)
        trials.attempt(partial(read, kind, content))
        found = mutated_text(line, trials.rng).replace(b"\n", b" ")
        trials.attempt(partial(read_lines, found, 1, 1.0, 2))
