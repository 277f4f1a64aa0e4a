"""What ``mobiledet arm-setup`` makes, and programs that run in it."""

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

VERSION = 1  # of the folder's layout
ABOUT, ABOUT_BYTES = "about.json", 1 << 20
QEMU, SYSTEM, SITE, BYTECODE = "qemu-aarch64", "system", "site", "bytecode"
PYTHON = "usr/bin/python3.13"
# what the agent imports besides the standard library
PACKAGES = ("ai-edge-litert", "numpy", "pillow")


@dataclass(frozen=True)
class About:
    """What a folder holds: ``about.json``.

    Attributes:
        version: of the layout.
        emulator: such as ``QEMU 10.0.13``.
        python: its version.
        packages: version of each of ``PACKAGES``.
        bytes: of all files.
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
    """A folder that ``mobiledet arm-setup`` has made."""

    folder: Path
    about: About

    def program(self, core: Core, module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """Command line and environment of one of our modules on an emulated core; it ends with this process.

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
        """What is installed here in another version, in words; empty where nothing is."""
        here = installed_packages()
        return ", ".join(
            f"{name} {version} (here {here[name]})"
            for name, version in self.about.packages.items()
            if here.get(name) not in (None, version)
        )


def _own_sources() -> Path:
    """A folder that holds this package alone: beside it may lie packages for this machine's processor."""
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
    """Where all of it lies."""
    return cache_folder() / "arm"


def find_setup() -> ArmSetup:
    """The folder that is there.

    Raises:
        UserError: there is none, or one of another release, or a part of it is gone.
    """
    folder = (arm_folder() / "setup").absolute()
    if not folder.is_dir():
        raise UserError(f"no emulated ARM processor is set up in {folder}; run `mobiledet arm-setup` first")
    problem = f"what `mobiledet arm-setup` made in {folder} cannot be used"
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
    """Versions of ``PACKAGES`` here, where they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
