"""The profile command; one small network is converted and measured for all."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mobiledet.cli import main
from mobiledet.complexity import KINDS
from mobiledet.profile import run as profile_run
from mobiledet.profile.runtime import RUN_KINDS

MEASURED = "shufflenet_v1_0.25x_g3"  # sums, shuffles, grouped convolutions and pooling


@pytest.fixture(scope="session")
def profile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("profile") / "new" / "folder"
    assert main(["profile", "--backbone", MEASURED, "--input-size", "64", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def profile(profile_folder: Path) -> Any:
    return json.loads((profile_folder / "profile.json").read_text())


def test_sums_are_those_of_the_layers(profile: Any) -> None:
    for count in ("macs", "memory_access"):
        assert profile[count] == sum(layer[count] for layer in profile["layers"])
        assert sum(profile["shares"][count].values()) == pytest.approx(1)
    assert tuple(profile["shares"]["macs"]) == KINDS
    assert profile["shares"]["macs"]["grouped"] > 0.5


def test_time_goes_to_every_kind_of_operation(profile: Any) -> None:
    run_time = profile["run_time"]
    assert run_time is not None, profile["reason"]
    assert tuple(run_time["shares"]) == RUN_KINDS
    assert {operation["kind"] for operation in run_time["operations"]} == set(RUN_KINDS)
    assert run_time["shares"]["convolution"] == max(run_time["shares"].values())
    assert sum(run_time["shares"].values()) == pytest.approx(1)
    assert 0 < run_time["coverage"] < 1.2
    unknown = {o["name"] for o in run_time["operations"] if o["kind"] == "other"}
    assert all("Pooling" in name or "Mean" in name for name in unknown), unknown
    assert profile["device"]["runtime"] == "litert"


def test_convolutions_of_the_network_and_of_the_file_are_as_many(profile: Any) -> None:
    """XNNPACK may cut a grouped convolution into several, but loses none."""
    found = sum(o["count"] for o in profile["run_time"]["operations"] if o["kind"] == "convolution")
    assert found >= len(profile["layers"])


def test_findings_are_of_this_network(profile: Any) -> None:
    texts = {finding["guideline"]: finding["text"] for finding in profile["findings"]}
    assert list(texts) == ["G1", "G2", "G3", "G4"]
    assert "in 3 groups" in texts["G2"]
    assert "Measured, element-wise operations take" in texts["G4"]


def test_picture_is_drawn(profile_folder: Path) -> None:
    with Image.open(profile_folder / "profile.png") as picture:
        assert picture.width > 2 * picture.height / 3
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    assert sorted(path.name for path in profile_folder.iterdir()) == ["profile.json", "profile.png"]


@pytest.mark.parametrize("detector", ["ssdlite", "ssdlite_fpn"])
def test_detector_is_counted(detector: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--backbone", "ghostnet_0.5x", "--detector", detector, "--no-measure", "--out", str(tmp_path)]
    assert main(["profile", *words]) == 0
    values = json.loads((tmp_path / "profile.json").read_text())
    assert (values["name"], values["input_size"]) == (f"ghostnet_0.5x-{detector}", 320)
    assert values["run_time"] is None
    assert "run time not measured: --no-measure" in capsys.readouterr().out
    shares = values["shares"]["parameters"]
    assert sum(shares.values()) == pytest.approx(1)


def test_torchvisions_networks_too(tmp_path: Path) -> None:
    assert main(["profile", "--backbone", "torchvision:resnet18", "--no-measure", "--out", str(tmp_path)]) == 0
    values = json.loads((tmp_path / "profile.json").read_text())
    assert values["parameters"] == 11_689_512  # torchvision's own documentation
    assert round(values["macs"] / 1e9, 2) == 1.81


def test_without_the_converter_it_still_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_run, "missing_package", lambda _: "litert_torch")
    assert main(["profile", "--backbone", "fd_mobilenet_0.25x", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert (
        "run time not measured: needs litert_torch, which is not installed: pip install 'mobiledet[tflite]'" in printed
    )
    assert "G1 equal channel widths" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "give --backbone"),
        ("--backbone shufflenet_v2_3x", "unknown backbone 'shufflenet_v2_3x'; did you mean shufflenet_v2_2x"),
        ("--backbone torchvision:resnet51", "did you mean resnet50"),
        ("--backbone ghostnet_1x --detector ssdlit", "unknown detector 'ssdlit'; did you mean ssdlite"),
        ("--backbone ghostnet_1x --input-size 20", "--input-size 20 is below 32"),
        ("--backbone ghostnet_1x --threads 0", "--threads 0 is below 1"),
        ("--guidelines --backbone ghostnet_1x", "--guidelines measures its own set of networks"),
        ("--guidelines --rounds 0", "--rounds 0 is below 1"),
        (f"--backbone ghostnet_1x --out {__file__}", "is a file; give the name of a folder"),
    ],
)
def test_wrong_options_are_told_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
