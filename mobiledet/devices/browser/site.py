"""Builds the page from the sources in this package; its npm packages are downloaded once."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_folder
from mobiledet.files.cache import cache_folder

SITE_VARIABLE = "MOBILEDET_WEB_SITE"
NODE = (20, 19)
# a checkout has the sources in apps/web, an installed package beside this one
_ROOT = Path(__file__).resolve().parents[3]
SOURCES = (_ROOT / "apps" / "web", _ROOT / "mobiledet_web")
SCHEMA = "protocol/messages.schema.json"
NOT_SOURCES = frozenset({"node_modules", "dist", "site", "test", "testing"})


def page_folder() -> Path:
    """The folder of the built page; the page is built if necessary.

    Raises:
        UserError: Node.js is missing or too old, npm fails, or the environment names a folder without the page.
    """
    files, out = _planned()
    if not out.is_dir():
        _build(files, out)
    return out


def page_problem() -> str:
    """Why the page cannot be built, as far as is known without building it; empty if nothing is known."""
    try:
        if not _planned()[1].is_dir():
            _require_node()
    except UserError as error:
        return str(error)
    return ""


def _planned() -> tuple[dict[str, Path], Path]:
    """The page's sources, and the folder for the built page.

    Raises:
        UserError: the environment names a folder without the page, or the sources are missing.
    """
    given = os.environ.get(SITE_VARIABLE)
    if given:
        if not (Path(given) / "vendor").is_dir():
            raise UserError(f"{SITE_VARIABLE}={given} contains no page; write one with mobiledet web --out {given}")
        return {}, Path(given)
    files = page_sources()
    return files, cache_folder() / "web" / _digest(files)


def page_sources() -> dict[str, Path]:
    """The page's sources by their path in the build folder."""
    source = next((folder for folder in SOURCES if (folder / "package.json").is_file()), None)
    if source is None:
        raise UserError(f"the page's sources are missing at {SOURCES[0]}; install mobiledet again")
    files = {
        path.relative_to(source).as_posix(): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.relative_to(source).parts[0] not in NOT_SOURCES
    }
    files.setdefault(SCHEMA, source.parent / SCHEMA)
    return files


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _build(files: dict[str, Path], out: Path) -> None:
    _require_node()
    print("page: fetching LiteRT.js from npm, once for this version of mobiledet ...", flush=True)
    with atomic_folder(out, overwrite=True) as folder:
        workshop = folder.with_name(f"{folder.name}-build")
        try:
            for name, path in files.items():
                target = workshop / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            _run(["npm", "ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"], workshop)
            _run(["node", "build.mjs", str(folder)], workshop)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)


def _require_node() -> None:
    needed = ".".join(map(str, NODE))
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise UserError(
                f"{program} is not installed, but is needed to build the page for browsers: install Node.js "
                f"{needed} or newer, or set {SITE_VARIABLE} to a page that mobiledet web --out wrote on another machine"
            )
    installed = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    version = tuple(int(part) for part in installed.lstrip("v").split(".")[:2] if part.isdigit())
    if version < NODE:
        raise UserError(f"Node.js {installed} is too old for the page for browsers; install {needed} or newer")


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        raise UserError(f"the page for browsers cannot be built: {' '.join(command[:2])}: {' '.join(lines[:3])}")
