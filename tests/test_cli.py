import dataclasses
import importlib
import os
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobiledet import __version__, cli
from mobiledet.cli import COMMANDS, Command, main

BROKEN_COMMANDS = '''
import json
import sys
from dataclasses import dataclass

from mobiledet.errors import UserError


@dataclass(frozen=True)
class Config:
    """A command that ends as it is told."""

    end: str = "well"
    """How to end."""
    image_size: int = 1
    """A field of two words."""
    names: tuple[str, ...] = ()
    """A list."""
    loud: bool = True
    """A switch."""


def run(config: Config) -> int | None:
    match config.end:
        case "well":
            print(json.dumps([config.image_size, config.names, config.loud]))
        case "status":
            return 3
        case "user-error":
            raise UserError("cat.jpg is truncated; fetch it again")
        case "interrupt":
            raise KeyboardInterrupt
        case "missing-package":
            import a_package_that_nobody_wrote
        case "builds":
            raise RuntimeError("operator torchvision::nms does not exist")
        case "bug":
            raise RuntimeError("a bug")
        case "long":
            for _ in range(100_000):
                print("a line")
    return None
'''


@pytest.fixture
def ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a command, in the table for one test, that ends as ``--end`` says."""
    (tmp_path / "ending_command.py").write_text(BROKEN_COMMANDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(COMMANDS, "ending", Command("ending_command:Config", "ending_command:run", "ends"))
    return "ending"


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.help)}$", text, flags=re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 100


def test_commands_of_the_epilogue_exist() -> None:
    named = re.findall(r"^  mobiledet (\w+)", cli.FROM_COCO_TO_A_PHONE, flags=re.MULTILINE)
    assert len(named) == 5
    assert set(named) <= set(COMMANDS)


def test_commands_of_the_epilogue_parse() -> None:
    import tyro

    for name, options in re.findall(r"^  mobiledet (\w+)(.*)$", cli.FROM_COCO_TO_A_PHONE, flags=re.MULTILINE):
        tyro.cli(_load(COMMANDS[name].config), args=options.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mobiledet {__version__}\n"


def test_windows_is_told_what_to_use(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        assert main(["list"]) == 2
    assert capsys.readouterr().err == (
        "error: mobiledet needs Linux or macOS; on Windows use its Subsystem for Linux\n"
    )


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "usage: mobiledet" in streams.err


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("evalute", "evaluate"), ("docter", "doctor")])
def test_unknown_command_names_the_nearest(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed]) == 2
    assert capsys.readouterr().err == f"error: unknown command '{typed}'; did you mean {meant}?\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_frozen_config_and_a_function(name: str) -> None:
    config = _load(COMMANDS[name].config)
    assert dataclasses.is_dataclass(config)
    assert config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert callable(_load(COMMANDS[name].function))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_explains_every_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: mobiledet {name}" in text
    for option in _options(_load(COMMANDS[name].config)):
        assert option in text


def _options(config: type) -> Iterator[str]:
    """Of a config, and of those that are part of it."""
    for field, hint in typing.get_type_hints(config, include_extras=True).items():
        kind = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
        if dataclasses.is_dataclass(kind):
            yield from _options(kind)
        elif "Positional" not in str(hint):
            yield f"--{field.replace('_', '-')}"


def test_options_reach_the_config(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ending, "--image_size", "320", "--names", "cat", "dog", "--no-loud"]) == 0
    assert capsys.readouterr().out == '[320, ["cat", "dog"], false]\n'


def test_unknown_option_fails_with_status_2(ending: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([ending, "--image-sise", "320"])
    assert stop.value.code == 2


def test_exit_status_of_the_function_is_passed_on(ending: str) -> None:
    assert main([ending, "--end", "status"]) == 3


def test_user_error_is_one_line(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ending, "--end", "user-error"]) == 2
    assert capsys.readouterr().err == "error: cat.jpg is truncated; fetch it again\n"


def test_debug_shows_the_traceback(
    ending: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOBILEDET_DEBUG", "1")
    assert main([ending, "--end", "user-error"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert error.endswith("error: cat.jpg is truncated; fetch it again\n")


def test_interrupt(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ending, "--end", "interrupt"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_missing_package_leads_to_the_doctor(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ending, "--end", "missing-package"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the Python package 'a_package_that_nobody_wrote' is not installed; ")
    assert "mobiledet doctor" in error


def test_builds_that_do_not_fit_lead_to_the_doctor(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([ending, "--end", "builds"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: torch and torchvision are of different builds; ")
    assert "mobiledet doctor" in error


def test_a_bug_keeps_its_traceback(ending: str) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        main([ending, "--end", "bug"])


def test_reader_that_leaves_early_is_no_error(ending: str, tmp_path: Path) -> None:
    source = (
        "import sys; from mobiledet import cli;"
        "cli.COMMANDS['ending'] = cli.Command('ending_command:Config', 'ending_command:run', 'ends');"
        "sys.exit(cli.main(['ending', '--end', 'long']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        text=True,
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "a line\n"
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def _load(path: str) -> type:
    module, _, name = path.partition(":")
    loaded: type = getattr(importlib.import_module(module), name)
    return loaded
