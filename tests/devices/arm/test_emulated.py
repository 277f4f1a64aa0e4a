"""Exported files and the agent on emulated ARM processors; a matrix of all families is exhaustive."""

import json
import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle, open_bundle
from mobiledet.devices import open_device
from mobiledet.devices.arm.check import check
from mobiledet.devices.arm.cores import CORES
from mobiledet.devices.arm.emulated import emulated_agent
from mobiledet.devices.arm.setup_folder import ArmSetup
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.evaluation.result import read_result
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export

# each family of backbones once, each head once
FAMILIES = (
    ("shufflenet_v2_0.5x", "ssdlite"),
    ("shufflenet_v1_0.25x_g3", "ssdlite_fpn"),
    ("mobilenet_v1_0.25x", "ssdlite"),
    ("mobilenet_v2_0.35x", "faster_rcnn_fpn"),
    ("ghostnet_0.5x", "nanodet_plus"),
    ("fd_mobilenet_0.25x", "faster_rcnn"),
)
STEPS = {"ghostnet_0.5x": 150, "fd_mobilenet_0.25x": 150}  # what they need until integers suit them
PRECISIONS = ("float32", "float16", "int8", "int8-weights", "int16x8")


def test_golden_outputs_are_those_of_this_machine(
    arm_setup: ArmSetup, exported_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every TFLite precision of an export, through three generations of kernels, and what the bundle learns of it."""
    files = [file for file in exported_bundle.files if file.format == "tflite"]
    findings, apart = check(exported_bundle, files, arm_setup, list(CORES.values()))
    assert len(findings) == len(files) * len(CORES) >= 6
    for finding in findings:
        assert not finding.problem, finding
        assert finding.accelerator == "xnnpack"
        assert finding.here
        if finding.file.startswith("model.float"):
            assert finding.here.score < 1e-4, finding
            assert finding.here.unpaired == 0
    assert set(apart) == {file.path for file in files}


def test_each_core_runs_kernels_of_its_own(arm_setup: ArmSetup, exported_bundle: Bundle) -> None:
    """What QEMU translates of an int8 file: dot products on the one, products of matrices on the other."""
    file = exported_bundle.select("int8").path
    ran: dict[str, set[str]] = {}
    for core in CORES.values():
        program = "mobiledet.devices.arm.replay"
        command, environment = arm_setup.program(core, program, str(exported_bundle.root.absolute()), file)
        command[1:1] = ["-d", "in_asm"]  # to standard error
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", env=environment
        ) as process:
            assert process.stderr
            ran[core.name] = {found[1] for line in process.stderr if (found := re.search(r"\s(sdot|smmla)\s", line))}
        assert process.returncode == 0
    assert ran == {"cortex-a53": set(), "cortex-a76": {"sdot"}, "max": {"smmla"}}


def test_an_evaluation_has_the_same_map_and_no_time(
    arm_setup: ArmSetup,
    patch_bundle: Bundle,
    patch_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "x.json"
    arguments = ["evaluate", str(patch_bundle.path), "--data", str(patch_data), "--device", "arm", "--out", str(out)]
    assert cli.main(arguments) == 0
    assert "not measured: emulated" in capsys.readouterr().out
    result = read_result(out)
    assert result.metrics.AP > 0.999
    assert result.latency is None
    assert result.accuracy
    assert result.accuracy.stages == {}
    assert result.device.name == "arm:cortex-a76"
    assert result.device.runtime == "litert-emulated"
    assert "emulated by QEMU" in result.device.cpu
    assert cli.main([*arguments[:2], "--device", "arm", "--no-accuracy"]) == 2
    assert "arm:cortex-a76 measures no latency (emulated" in capsys.readouterr().err
    page = tmp_path / "report.html"
    assert cli.main(["report", str(out), "--out", str(page)]) == 0
    assert "litert-emulated, no latency" in page.read_text(encoding="utf-8")


def test_pictures_are_prepared_to_the_same_bits(arm_setup: ArmSetup, patch_bundle: Bundle, patch_data: Path) -> None:
    """JPEG files decoded and resized there give what the input that is made here gives."""
    images = sorted(patch_data.rglob("*.jpg"))[:4]
    found = {}
    for mode in ("image", "tensor"):
        with closing(open_device("arm:cortex-a53", mode=mode)) as device:  # type: ignore[arg-type]
            session = device.load(patch_bundle, patch_bundle.select())
            session.golden()
            found[mode] = list(session.detect(images))
            assert session.benchmark(BenchmarkPlan()) is None
    assert sum(len(frame.detections) for frame in found["image"]) > 3
    for ours, theirs in zip(found["image"], found["tensor"], strict=True):
        np.testing.assert_array_equal(ours.detections.scores, theirs.detections.scores)
        np.testing.assert_allclose(ours.detections.boxes_xyxy, theirs.detections.boxes_xyxy, atol=1e-3)


def test_the_emulated_agent_keeps_to_the_protocol(
    arm_setup: ArmSetup, patch_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    with emulated_agent(arm_setup, CORES["cortex-a76"]) as agent:
        status = cli.main(["agent-check", agent.url, "--token", agent.token, "--bundle", str(patch_bundle.path)])
    assert status == 0, capsys.readouterr().out


@pytest.mark.exhaustive
@pytest.mark.parametrize(("backbone", "detector"), FAMILIES, ids=lambda name: name)
def test_every_precision_of_every_family(
    backbone: str,
    detector: str,
    arm_setup: ArmSetup,
    train_on_scenes: Callable[..., Path],
    scene_folder: Path,
    tmp_path: Path,
) -> None:
    checkpoint = train_on_scenes(backbone, detector, side=96, steps=STEPS.get(backbone, 30))
    path = tmp_path / "x.mobiledet"
    # forced: how much mAP integers cost a network that has hardly learnt is no matter here
    settings = {"images": scene_folder, "calibration": str(scene_folder.parent), "parity_images": 4, "force": True}
    bundle = export(ExportConfig(checkpoint, path, ("tflite",), PRECISIONS, **settings))  # type: ignore[arg-type]
    findings, apart = check(bundle, bundle.files, arm_setup, list(CORES.values()))
    assert {file.precision for file in bundle.files} == set(PRECISIONS), bundle.left_out
    for finding in findings:
        print(backbone, detector, finding)
    for file, worst in apart.items():
        print(backbone, detector, file, "cores", worst.words)
    assert not [finding for finding in findings if finding.problem]


def test_what_was_found_is_written_to_the_bundle(
    arm_setup: ArmSetup, patch_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mobiledet.bundle import copy_bundle

    path = copy_bundle(patch_bundle, tmp_path / "x.mobiledet", patch_bundle.files).path
    assert cli.main(["arm-check", str(path), "--core", "cortex-a53", "--write"]) == 0
    assert cli.main(["arm-check", str(path), "--core", "arm:max", "--write", "--json"]) == 0
    kernels = open_bundle(path).select().kernels
    assert kernels
    assert set(kernels) == {"cortex-a53", "max"}  # the second adds to the first
    assert kernels["max"].within
    assert kernels["max"].score is not None
    assert kernels["max"].score < 1e-4
    assert kernels["max"].emulator.startswith("QEMU ")
    assert json.loads(capsys.readouterr().out.partition("\n[")[2].join(("[", "")))[0]["core"] == "max"
