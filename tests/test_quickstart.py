from pathlib import Path

import pytest
import tyro

from mobiledet.cli import COMMANDS, _resolve
from mobiledet.errors import UserError
from mobiledet.quickstart import MARKER, QuickstartConfig, plan, run


def test_every_step_is_a_command_with_valid_options(tmp_path: Path) -> None:
    steps = plan(QuickstartConfig(out=tmp_path / "out"))
    assert [step.arguments[0] for step in steps] == [
        "shapes",
        "train",
        "export",
        "evaluate",
        "evaluate",
        "evaluate",
        "predict",
        "report",
    ]
    for step in steps:
        name, *arguments = step.arguments
        tyro.cli(_resolve(COMMANDS[name].config), args=arguments)  # type: ignore[arg-type]


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already; pass --overwrite"):
        run(QuickstartConfig(out=tmp_path))


def test_overwrite_removes_only_what_a_quickstart_made(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.tex"
    precious.write_text("years of work")
    with pytest.raises(UserError, match="was not made by quickstart"):
        run(QuickstartConfig(out=tmp_path, overwrite=True))
    assert precious.exists()


def test_a_failing_step_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = QuickstartConfig(out=tmp_path / "out", train=4, val=1, backbone="shufflenet_v2_3x")
    with pytest.raises(UserError, match="quickstart stopped: `mobiledet train` ended with status 2"):
        run(config)
    assert "unknown backbone 'shufflenet_v2_3x'" in capfd.readouterr().err
    assert (tmp_path / "out" / MARKER).is_file()
