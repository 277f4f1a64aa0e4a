"""The folder that ``mobiledet arm-setup`` creates, and how to run programs in it."""

import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mobiledet
from mobiledet.devices.arm.cores import Core
from mobiledet.errors import UserError
from mobiledet.files.cache import cache_folder
from mobiledet.processes.child import child_command
from mobiledet.processes.cores import EMULATOR
from mobiledet.records import Count, decode
from mobiledet.spec import read_json

VERSION = 1  # version of the folder's layout
ABOUT, ABOUT_BYTES = "about.json", 1 << 20
QEMU, SYSTEM, SITE, BYTECODE = "qemu-aarch64", "system", "site", "bytecode"
PYTHON = "usr/bin/python3.13"
# packages that the agent imports
PACKAGES = ("ai-edge-litert", "numpy", "pillow")


@dataclass(frozen=True)
class About:
    """Description of a folder, stored as ``about.json``.

    Attributes:
        version: version of the layout.
        emulator: such as ``QEMU 10.0.13``.
        python: version of Python.
        packages: version of each of ``PACKAGES``.
        bytes: total size of the files.
    """

    version: int
    emulator: str
    python: str
    packages: dict[str, str]
    bytes: Count

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        return f"{self.emulator}, Python {self.python}, {packages}"


@dataclass(frozen=True)
class ArmSetup:
    """A folder that ``mobiledet arm-setup`` created."""

    folder: Path
    about: About

    def program(self, core: Core, module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Command line and environment to run one of our modules on an emulated core; it ends with this process.

        Raises:
            UserError: the folder cannot be written.
        """
        emulator = [str(self.folder / QEMU), "-cpu", core.cpu, "-L", str(self.folder / SYSTEM)]
        python = [*emulator, str(self.folder / SYSTEM / PYTHON), "-P", "-s"]
        environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "MOBILEDET_DEBUG") if name in os.environ},
            "TMPDIR": tempfile.gettempdir(),
            "PYTHONPATH": os.pathsep.join((str(_own_sources()), str(self.folder / SITE))),
            "PYTHONPYCACHEPREFIX": str(self.folder / BYTECODE),
            EMULATOR: f"{self.about.emulator}, {core.name}",
        }
        return child_command(module, *arguments, python=python), environment

    @property
    def outdated(self) -> str:
        """Description of packages that are installed here in another version; empty if there are none."""
        here = installed_packages()
        return ", ".join(
            f"{name} {version} (here {here[name]})"
            for name, version in self.about.packages.items()
            if here.get(name) not in (None, version)
        )


def _own_sources() -> Path:
    """A folder with only this package, because packages for this machine's processor may lie beside it."""
    package = Path(mobiledet.__file__).parent.absolute()
    folder = arm_folder().absolute() / "sources" / hashlib.sha256(str(package).encode()).hexdigest()[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            (folder / package.name).symlink_to(package, target_is_directory=True)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {(error.strerror or str(error)).lower()}") from error
    return folder


def arm_folder() -> Path:
    """The path of the folder in the cache."""
    return cache_folder() / "arm"


def find_setup() -> ArmSetup:
    """Find the installation.

    Raises:
        UserError: there is none, it is of another release, or a part of it is missing.
    """
    folder = (arm_folder() / "setup").absolute()
    if not folder.is_dir():
        raise UserError(f"no emulated ARM processor is set up in {folder}; run `mobiledet arm-setup` first")
    problem = f"the installation of `mobiledet arm-setup` in {folder} cannot be used"
    mend = "run it again with --renew"
    try:
        about: About = decode(About, read_json(folder / ABOUT, ABOUT_BYTES))
    except (UserError, ValueError) as error:
        raise UserError(f"{problem}: {error}; {mend}") from error
    if about.version != VERSION:
        raise UserError(f"{problem}: it is of another release; {mend}")
    missing = [name for name in (QEMU, f"{SYSTEM}/{PYTHON}", SITE) if not (folder / name).exists()]
    if missing:
        raise UserError(f"{problem}: {missing[0]} is missing; {mend}")
    return ArmSetup(folder, about)


def installed_packages() -> dict[str, str]:
    """The versions of those of ``PACKAGES`` that are installed here."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
