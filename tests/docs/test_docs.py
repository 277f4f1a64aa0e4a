"""The documentation tells of what is there: its links, its command lines, its quick blocks, its drawings."""

import functools
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tyro

from mobiledet.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*.md"),
        *(ROOT / "apps").glob("*.md"),
        *(ROOT / "apps").glob("*/README.md"),
    ]
)
# what other programs take
FOREIGN_OPTIONS = {"--nproc-per-node", "--logdir", "--no-sandbox"}
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.M | re.S)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _blocks(page: Path) -> Iterator[tuple[str, str, bool]]:
    """Language and content of each block of code, and whether it is marked as quick."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield match[2].strip(), match[3], text[: match.start()].rstrip().endswith("<!-- quick -->")


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _command_lines(block: str) -> Iterator[list[str]]:
    """The words after ``mobiledet`` of each of its commands."""
    for line in re.sub(r" *\\\n *", " ", block).splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "mobiledet" and len(words) > 1 and words[1] in COMMANDS:
            yield words[1:]
        elif words[:1] == ["mobiledet"]:
            assert words[1:] in (["--help"], ["COMMAND", "--help"], ["--version"]), f"unknown command: {line}"


# --- links


@functools.cache
def _anchors(page: Path) -> frozenset[str]:
    """Of the headings, as code hosts and MkDocs make them."""
    anchors: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", _prose(page), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
        anchors.append(f"{anchor}_{anchors.count(anchor)}" if anchor in anchors else anchor)
    return frozenset(anchors)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in _LINK.findall(_INLINE.sub("", _prose(page))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = Path(os.path.normpath(page.parent / path)) if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            dead.append(target)
    assert not dead


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n[here](#one-two) [there](nowhere.md) [odd](#three)\n")
    with pytest.raises(AssertionError, match="nowhere"):
        test_links_lead_somewhere(page)


# --- command lines


def _config(command: str) -> Any:
    module, _, name = COMMANDS[command].config.partition(":")
    return getattr(importlib.import_module(module), name)


@functools.cache
def _options(command: str) -> frozenset[str]:
    parser = tyro.extras.get_parser(_config(command))
    return frozenset(option for action in parser._actions for option in action.option_strings)


def _parses(words: list[str]) -> str:
    """What is wrong with a command line; empty where nothing is."""
    try:
        tyro.cli(_config(words[0]), args=words[1:], console_outputs=False)
    except SystemExit as error:
        return "" if error.code == 0 else shlex.join(words)
    return ""


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_command_lines_are_those_of_the_program(page: Path) -> None:
    wrong = [
        _parses(words)
        for language, block, _ in _blocks(page)
        if language in ("", "bash", "sh")
        for words in _command_lines(block)
    ]
    assert not [problem for problem in wrong if problem]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_options_in_the_text_are_those_of_the_program(page: Path) -> None:
    every = frozenset().union(*map(_options, COMMANDS)) | FOREIGN_OPTIONS | {"--version"}
    unknown = []
    for code in _INLINE.findall(_prose(page).replace("``", "")):
        words = code.split()
        if words[0] not in ("mobiledet", *_OPTION.findall(words[0])):
            continue
        if words[0] == "mobiledet" and len(words) > 1 and words[1].isidentifier() and words[1].islower():
            if words[1] not in COMMANDS:
                unknown.append(code)
                continue
            known = _options(words[1])
        else:
            known = every
        unknown += [code for option in _OPTION.findall(code) if option not in known]
    # a page of what has changed names what is gone
    assert not unknown or page.name == "CHANGELOG.md", unknown


@pytest.mark.parametrize("line", ["trian --data x", "train --dat x", "train --epochs many", "evaluate"])
def test_a_wrong_command_line_is_noticed(line: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```\nmobiledet {line}\n```\n")
    with pytest.raises(AssertionError):
        test_command_lines_are_those_of_the_program(page)


# --- quick blocks and drawings

QUICK = [page for page in PAGES if any(quick for *_, quick in _blocks(page))]


@pytest.mark.parametrize("page", QUICK, ids=_name)
def test_quick_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "apps" / "testdata" / "bundles" / "good", "x.mobiledet")  # what pages call a bundle
    for language, block, quick in _blocks(page):
        if quick and language == "python":
            exec(compile(block, _name(page), "exec"), {"__name__": "__main__"})
        elif quick:
            for words in _command_lines(block):
                assert main(words) == 0, words


def test_drawings_are_those_that_the_scripts_make(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "docs" / "drawing" / "draw.py"), str(tmp_path)], check=True)
    committed = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "images").glob("*.svg")}
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert made == committed, "run python docs/drawing/draw.py"


# --- messages


@functools.cache
def _sources() -> str:
    """The program's code, texts over several lines in one, values in them as dots."""
    files = [*(ROOT / "mobiledet").rglob("*.py"), *(ROOT / "converters").rglob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    joined = re.sub(r"\"\s*\n\s*f?\"", "", text)
    return re.sub(r"\{[^{}]*\}", "...", joined)


def test_messages_that_are_explained_are_those_of_the_program() -> None:
    """``...`` stands for a value in them."""
    page = ROOT / "docs" / "troubleshooting.md"
    messages = [code for cell in re.findall(r"^\| (`.*?) \|", page.read_text(), re.M) for code in _INLINE.findall(cell)]
    assert len(messages) > 20
    parts = {part.strip(" ,;") for message in messages for part in message.split("...")}
    unknown = [part for part in sorted(parts) if len(part) > 5 and part not in _sources()]
    assert not unknown, "\n".join(unknown)


@pytest.mark.exhaustive
def test_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")  # of the extra docs
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "api.html").stat().st_size > 100_000
