import dataclasses
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mobiledet import doctor
from mobiledet.doctor import DoctorConfig

REQUIREMENTS = [Requirement("rich"), Requirement("tyro>=0.9,<0.10")]


def write_module(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(source)


@pytest.mark.parametrize(("status", "exit_status"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_json_and_exit_status(
    status: doctor.Status, exit_status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = doctor.Check("Python", status, "3.11")
    monkeypatch.setattr(doctor, "examine", lambda need: iter([check]))
    assert doctor.run(DoctorConfig(json=True)) == exit_status
    report = json.loads(capsys.readouterr().out)
    assert report == {"healthy": exit_status == 0, "checks": [dataclasses.asdict(check)]}


def test_sound_environment(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mobiledet.cli", "doctor", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.stderr == ""
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, checks
    pair = checks["torch and torchvision"]
    assert pair["status"] == "ok"
    assert metadata.version("torch") in pair["found"]
    assert metadata.version("torchvision") in pair["found"]
    for name in ("Python", "LiteRT", "OpenCV", "write permission"):
        assert checks[name]["status"] == "ok", checks[name]
    for name in doctor.NEEDS:
        assert checks[f"packages [{name}]"]["status"] == "ok", checks[f"packages [{name}]"]


def test_torch_and_torchvision_of_different_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A double: this torchvision fails just as a real one does beside a torch of another build.
    write_module(tmp_path, "torchvision", 'raise RuntimeError("operator torchvision::nms does not exist")')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (pair,) = doctor.check_torch()
    assert pair.status == "problem"
    assert "their builds do not fit" in pair.found
    assert "operator torchvision::nms does not exist" in pair.found
    assert "--reinstall torch torchvision" in pair.mend


def test_import_that_kills_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Doubles: both die as a library built for another processor or another ABI does.
    dies = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    write_module(tmp_path, "torchvision", dies)
    write_module(tmp_path, "ai_edge_litert", dies)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (pair,) = doctor.check_torch()
    assert pair.status == "problem"
    assert "ended by signal 11" in pair.found
    litert = doctor.check_import("LiteRT", doctor.PROBE_LITERT, "ai-edge-litert")
    assert "ended by signal 11" in litert.found
    assert "--reinstall ai-edge-litert" in litert.mend


def test_table_shows_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = doctor.Check("Python", "ok", "3.11")
    broken = doctor.Check("packages [train]", "problem", "not installed: torch", "uv pip install torch")
    monkeypatch.setattr(doctor, "examine", lambda need: iter([sound, broken]))
    monkeypatch.setenv("COLUMNS", "100")
    assert doctor.run(DoctorConfig()) == 1
    text = capsys.readouterr().out
    assert "packages [train]" in text
    assert "-> uv pip install torch" in text
    monkeypatch.setattr(doctor, "examine", lambda need: iter([sound]))
    assert doctor.run(DoctorConfig()) == 0


@pytest.mark.parametrize(
    ("torch", "torchvision", "fit"),
    [
        ("2.14.1", "0.29.2", True),
        ("2.11.0", "0.26.0", True),
        ("2.14.1+cpu", "0.29.2+cpu", True),
        ("2.14.1", "0.29.2+cu130", True),
        ("2.14.1+cpu", "0.29.2+cu130", False),
        ("2.13.0", "0.29.2", False),
        ("2.14.1", "0.28.0", False),
    ],
)
def test_versions_fit(torch: str, torchvision: str, fit: bool) -> None:
    assert doctor.versions_fit(torch, torchvision) is fit


def test_extra_that_is_complete() -> None:
    check = doctor.check_extra("evaluate", REQUIREMENTS, {}, needed=True)
    assert (check.status, check.mend) == ("ok", "")


@pytest.mark.parametrize(("needed", "status"), [(True, "problem"), (False, "warning")])
def test_extra_with_a_package_missing(needed: bool, status: str) -> None:
    check = doctor.check_extra("tflite", [*REQUIREMENTS, Requirement("nobody-wrote-this>=2")], {}, needed)
    assert check.status == status
    assert check.found == "not installed: nobody-wrote-this>=2"
    assert "[tflite]" in check.mend


def test_extra_outside_its_range() -> None:
    check = doctor.check_extra("evaluate", [Requirement("rich<1")], {}, needed=True)
    assert check.status == "problem"
    assert check.found == f"outside the tested range: rich {metadata.version('rich')} (needs <1)"


def test_extra_of_another_version_than_tested_is_named() -> None:
    check = doctor.check_extra("evaluate", REQUIREMENTS, {"rich": "0.1", "tyro": metadata.version("tyro")}, needed=True)
    assert check.status == "ok"
    assert f"rich {metadata.version('rich')} (tested: 0.1)" in check.found
    assert "tyro" not in check.found


def test_every_direct_requirement_has_a_tested_version(project_root: Path) -> None:
    names = {requirement.name for requirement in map(Requirement, metadata.requires("mobiledet") or [])}
    assert names - {"mobiledet"} <= set(doctor.tested_versions())
    assert project_root / "constraints.txt" == doctor.CONSTRAINTS


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert doctor.check_writable(tmp_path).status == "ok"
    check = doctor.check_writable(tmp_path / "missing")
    assert check.status == "problem"
    assert check.found == f"cannot write in {tmp_path / 'missing'}: no such file or directory"


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_disk("disk", tmp_path / "not" / "made" / "yet").found.endswith("yet")
    monkeypatch.setattr(doctor, "ENOUGH_DISK_GIB", 1e9)
    assert doctor.check_disk("disk", tmp_path).status == "warning"


def test_memory_agrees_with_the_kernel() -> None:
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(fields["MemTotal"].split()[0]) * 1024
    assert 0 < doctor.memory_bytes() <= total * 1.01


def test_cache_folder_follows_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert doctor.cache_folder() / "hub" == Path(torch.hub.get_dir())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert doctor.cache_folder() / "hub" == Path(torch.hub.get_dir())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert doctor.cache_folder() / "hub" == Path(torch.hub.get_dir())


def test_probe_tells_the_last_line_of_a_traceback() -> None:
    assert doctor.run_probe("print(1)") == doctor.Probe(output="1\n")
    assert doctor.run_probe("raise ValueError('so')").error == "ValueError: so"
    assert doctor.run_probe("raise SystemExit(3)").error == "exit status 3"


def test_probe_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PROBE_TIMEOUT_S", 0.2)
    assert doctor.run_probe("import time; time.sleep(60)").error == "no end after 0.2 s"
