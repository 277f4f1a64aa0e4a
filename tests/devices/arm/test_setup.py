"""``mobiledet arm-setup`` and what it makes, without a network and without an emulator."""

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle, copy_bundle, open_bundle
from mobiledet.detections import Detections
from mobiledet.devices.arm import debian, setup, wheels
from mobiledet.devices.arm.cores import CORES, Core, core_at
from mobiledet.devices.arm.debian import Package, debian_sources
from mobiledet.devices.arm.differences import differences
from mobiledet.devices.arm.replay import Replay, replay
from mobiledet.devices.arm.setup_folder import ABOUT, PYTHON, QEMU, SITE, SYSTEM, VERSION, About, find_setup
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.local import LocalDevice
from mobiledet.doctor import check_arm
from mobiledet.errors import UserError

DEB822 = """\
# what the machine came with
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://other.example/
Suites: bookworm
Components: stable

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_sources_are_the_machines_own_with_another_release(tmp_path: Path) -> None:
    (tmp_path / "a.sources").write_text(DEB822)
    (tmp_path / "b.sources.disabled").write_text(DEB822)
    (stanza,) = debian_sources([tmp_path / "none.list", tmp_path], "bookworm")
    assert stanza.splitlines() == [
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: ",
        " -----BEGIN PGP PUBLIC KEY BLOCK-----",
        " .",
        " abc",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://mirror.example/debian bookworm main contrib # ours", ""),
        (
            "deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] http://mirror.example/debian stable main",
            "\nSigned-By: /usr/share/keyrings/d.gpg",
        ),
    ],
)
def test_sources_of_one_line(line: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        f"# deb http://off.example bookworm main\n{line}\ndeb-src http://x bookworm main\n"
    )
    (stanza,) = debian_sources([tmp_path / "sources.list"], "bookworm")
    assert stanza == f"Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main{expected}"


def test_a_machine_without_a_source_is_told_of_the_container(tmp_path: Path) -> None:
    (tmp_path / "ubuntu.sources").write_text(DEB822.replace("bookworm", "noble"))
    with pytest.raises(UserError, match=r"no source of Debian bookworm .*apps/linux-arm/README\.md"):
        debian_sources([tmp_path], "bookworm")


def test_what_is_missing_is_told_in_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["arm-setup"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: apt-get is not installed, so Debian packages cannot be downloaded"
    )
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert cli.main(["arm-setup"]) == 2
    assert "needs Linux with apt-get and dpkg, this is Darwin" in capsys.readouterr().err
    monkeypatch.setattr(wheels, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="neither pip nor uv is installed"):
        wheels.install_wheels(["numpy==1"], tmp_path / "site", tmp_path / "wheels")
    assert not (cache / "arm" / "setup").exists()
    assert not (cache / "arm" / ".lock").exists()


@pytest.mark.skipif(not shutil.which("apt-get") or not shutil.which("dpkg"), reason="needs apt-get and dpkg")
def test_without_a_network_nothing_is_left_half_made(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real apt-get, whose source is a port that nobody listens on."""
    sources = tmp_path / "debian.sources"
    sources.write_text("Types: deb\nURIs: http://127.0.0.1:9/debian\nSuites: stable\nComponents: main\n")
    monkeypatch.setattr(debian, "SOURCE_LISTS", (sources,))
    settings = debian._configuration
    monkeypatch.setattr(debian, "_configuration", lambda *args: [*settings(*args), 'Acquire::Retries "0";'])
    assert cli.main(["arm-setup"]) == 2
    told = capsys.readouterr().err
    assert "error: apt-get failed: " in told
    assert "127.0.0.1" in told
    assert "check the network" in told
    assert [path.name for path in (cache / "arm").iterdir()] == ["downloads"]
    assert {path.name for path in cache.iterdir()} == {"arm"}


def test_packages_are_read_from_what_apt_prints() -> None:
    text = "'http://m/p/a_1%3a2_arm64.deb' a_1%3a2_arm64.deb 123 SHA256:00\n'http://m/b.deb' b.deb 45 \n"
    assert list(debian._uris(text)) == [Package("a_1%3a2_arm64.deb", 123), Package("b.deb", 45)]


def test_cores_have_names() -> None:
    assert core_at("arm").name == core_at("arm:cortex-a76").name == "cortex-a76"
    assert core_at("arm:max").cpu.startswith("max,")
    assert list(CORES) == ["cortex-a53", "cortex-a76", "max"]
    with pytest.raises(UserError, match="unknown core 'cortex-a7'; did you mean cortex-a76"):
        core_at("arm:cortex-a7")


def made(cache: Path, **changes: object) -> Path:
    """A folder that looks like a set-up; no program is in it."""
    folder = cache / "arm" / "setup"
    (folder / SITE).mkdir(parents=True)
    (folder / SYSTEM / PYTHON).parent.mkdir(parents=True)
    for name in (QEMU, f"{SYSTEM}/{PYTHON}"):
        (folder / name).touch()
    about = About(VERSION, "QEMU 10.0.13", "3.13.5", setup.installed_packages(), 5)
    (folder / ABOUT).write_text(json.dumps({**dataclasses.asdict(about), **changes}))
    return folder


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["evaluate", "x", "--data", "shapes", "--device", "arm:cortex-a53"], "no bundle at x"),
        (["arm-check", "x"], "no emulated ARM processor is set up in"),
    ],
)
def test_without_a_setup_the_command_for_it_is_told(
    command: list[str], expected: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command) == 2
    assert expected in capsys.readouterr().err


def test_a_device_without_a_setup(
    cache: Path, patch_bundle: Bundle, patch_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(patch_bundle.path), "--data", str(patch_data), "--out", str(cache / "r.json")]
    assert cli.main([*arguments, "--device", "arm"]) == 2
    assert "run `mobiledet arm-setup` first" in capsys.readouterr().err
    assert cli.main([*arguments, "--device", "arm:m1"]) == 2
    assert "unknown core 'm1'; valid names: cortex-a53, cortex-a76, max" in capsys.readouterr().err


def test_a_setup_that_is_damaged_or_of_another_release(cache: Path) -> None:
    assert "not set up" in check_arm().found
    folder = made(cache)
    assert (
        str(find_setup().about)
        == f"QEMU 10.0.13, Python 3.13.5, {', '.join(f'{n} {v}' for n, v in setup.installed_packages().items())}"
    )
    assert (check_arm().status, check_arm().found) == ("ok", str(find_setup().about))
    (folder / QEMU).unlink()
    with pytest.raises(UserError, match="qemu-aarch64 is missing; run it again with --renew"):
        find_setup()
    assert (check_arm().status, check_arm().mend) == ("warning", "mobiledet arm-setup --renew")
    (folder / ABOUT).write_text("{")
    with pytest.raises(UserError, match=r"cannot be used: .*about\.json"):
        find_setup()
    shutil.rmtree(folder)
    made(cache, version=VERSION + 1)
    with pytest.raises(UserError, match="it is of another release"):
        find_setup()


def test_a_setup_that_is_there_is_not_made_again(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(cache)
    assert cli.main(["arm-setup"]) == 0
    assert capsys.readouterr().out.startswith("ready: QEMU 10.0.13")
    shutil.rmtree(cache)
    made(cache, packages={"ai-edge-litert": "1.0.0", "numpy": setup.installed_packages()["numpy"]})
    assert find_setup().outdated.startswith("ai-edge-litert 1.0.0 (here ")
    assert check_arm().status == "warning"


def test_the_environment_of_a_program_is_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LD_PRELOAD", "/somewhere.so")
    folder = made(cache)
    command, environment = find_setup().program(CORES["cortex-a53"], "mobiledet.devices.arm.replay", "x.mobiledet")
    assert command[:3] == [str(folder / QEMU), "-cpu", "cortex-a53"]
    assert command[-2:] == ["mobiledet.devices.arm.replay", "x.mobiledet"]
    sources, site = environment["PYTHONPATH"].split(":")
    assert site == str(folder / SITE)
    assert [path.name for path in Path(sources).iterdir()] == ["mobiledet"]
    assert (Path(sources) / "mobiledet" / "devices" / "arm" / "replay.py").is_file()
    assert "LD_PRELOAD" not in environment
    assert Path(environment["PYTHONPYCACHEPREFIX"]).is_relative_to(cache)


def test_the_agent_that_is_emulated_has_no_times(patch_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever started it says so in its environment; here that is the test."""
    monkeypatch.setenv("MOBILEDET_EMULATOR", "QEMU 10.0.13, cortex-a76")
    device = LocalDevice()
    session = device.load(patch_bundle, patch_bundle.select())
    assert device.info().runtime == "litert-emulated"
    assert session.benchmark(BenchmarkPlan()) is None


def test_a_replay_survives_the_way_to_here(patch_bundle: Bundle) -> None:
    (here,) = replay(patch_bundle, [patch_bundle.select().path])
    there = Replay.from_json(json.loads(json.dumps(here.to_json())), patch_bundle.spec.num_classes)
    assert sum(map(len, here.cases))
    apart = differences(patch_bundle, here.file, here, there)
    assert apart.text == "agree to the bit"
    assert apart.detections == sum(map(len, here.cases))
    with pytest.raises(ValueError, match="not a replay"):
        Replay.from_json({"file": "x"}, 1)


def test_differences_are_in_pixels_of_the_input(patch_bundle: Bundle) -> None:
    side = patch_bundle.spec.input.width
    one = Detections(
        np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32), np.array([0.9, 0.8], np.float32), np.array([0, 1])
    )
    other = Detections(np.array([[0, 0, 0.5, 0.5 + 2 / side]], np.float32), np.array([0.6], np.float32), np.array([0]))
    apart = differences(patch_bundle, "x", Replay("x", "cpu", (one,)), Replay("x", "cpu", (other,)))
    assert apart.box_px == pytest.approx(2)
    assert apart.score == pytest.approx(0.3)
    assert apart.unpaired == 1
    assert "and 1 detections are unpaired" in apart.text


def test_a_bundle_without_what_runs_there_is_refused(cache: Path, patch_bundle: Bundle, tmp_path: Path) -> None:
    made(cache)
    listing = json.loads((patch_bundle.root / "bundle.json").read_text())
    assert open_bundle(patch_bundle.path).select().kernels is None
    assert "kernels" not in listing["files"][0] or listing["files"][0]["kernels"] is None
    assert cli.main(["arm-check", str(patch_bundle.path), "--core", "cortex-x1"]) == 2
    assert cli.main(["arm-check", str(patch_bundle.path), "--file", "int4"]) == 2


def test_a_file_outside_of_its_tolerance_ends_with_3(
    cache: Path,
    patch_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A double in the emulator's place: no real core is known that gives something else."""

    def spoilt(setup: object, core: Core, bundle: Bundle, paths: Sequence[str]) -> Iterator[Replay]:
        for each in replay(bundle, paths):
            cases = each.cases
            if core.name == "cortex-a53":
                cases = tuple(dataclasses.replace(found, scores=found.scores / 2) for found in cases)
            yield dataclasses.replace(each, cases=cases)

    made(cache)
    monkeypatch.setattr("mobiledet.devices.arm.check._replay_on", spoilt)
    path = copy_bundle(patch_bundle, tmp_path / "x.mobiledet", patch_bundle.files).path
    assert cli.main(["arm-check", str(path), "--write"]) == 3
    printed = capsys.readouterr().out
    assert "outside on cortex-a53: " in printed
    assert "its scores are 0.5 times as high" in printed
    assert "model.float32.tflite: cores differ by up to 0 pixels and scores of 0.4" in printed
    kernels = open_bundle(path).select("float32").kernels
    assert kernels
    assert {core: check.within for core, check in kernels.items()} == {
        "cortex-a53": False,
        "cortex-a76": True,
        "max": True,
    }
    assert "0.5 times as high" in kernels["cortex-a53"].problem
    assert cli.main(["arm-check", str(path), "--core", "max"]) == 0


def test_an_emulator_that_dies_is_told(
    cache: Path, patch_bundle: Bundle, patch_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program in QEMU's place that says what QEMU says."""
    program = made(cache) / QEMU
    program.write_text("#!/bin/sh\necho 'qemu: uncaught target signal 11 (Segmentation fault)' >&2\nexit 139\n")
    program.chmod(0o755)
    assert cli.main(["arm-check", str(patch_bundle.path), "--core", "cortex-a53"]) == 2
    told = capsys.readouterr().err
    assert "error: the emulated cortex-a53 does not run the files: qemu: uncaught target signal 11" in told
    arguments = ["--data", str(patch_data), "--device", "arm", "--out", str(cache / "r.json")]
    assert cli.main(["evaluate", str(patch_bundle.path), *arguments]) == 2
    assert "does not start on an emulated cortex-a76: qemu: uncaught target signal 11" in capsys.readouterr().err
