"""The command ``mobiledet arm-setup``: installs an emulated ARM processor in the cache folder."""

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from mobiledet.devices.arm.config import ArmSetupConfig
from mobiledet.devices.arm.cores import CORES
from mobiledet.devices.arm.debian import Apt
from mobiledet.devices.arm.setup_folder import (
    ABOUT,
    BYTECODE,
    PACKAGES,
    QEMU,
    SITE,
    SYSTEM,
    VERSION,
    About,
    ArmSetup,
    arm_folder,
    find_setup,
    installed_packages,
)
from mobiledet.devices.arm.wheels import install_wheels
from mobiledet.drawing.figures import size
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_folder
from mobiledet.files.locks import locked_folder

ARCHITECTURE = "arm64"
SYSTEM_PACKAGES = ("python3.13-minimal", "libpython3.13-stdlib", "libstdc++6", "libgomp1", "zlib1g")
EMULATOR_PACKAGE = "qemu-user"


def run(config: ArmSetupConfig) -> None:
    """The command ``mobiledet arm-setup``."""
    folder = arm_folder().absolute()
    with locked_folder(folder, "setting up emulated ARM processors"):
        ready = None if config.renew else _usable()
        if ready is None:
            ready = _set_up(folder)
    print(f"ready: {ready.about}")
    print(f"{size(ready.about.bytes)} in {ready.folder}")
    for core in CORES.values():
        print(f"  --device {core.address:<16} {core.stands_for}")


def _usable() -> ArmSetup | None:
    """The existing installation, if it can be used; else None."""
    try:
        setup = find_setup()
    except UserError:
        return None
    if setup.outdated:
        print(f"downloading again: {setup.outdated}")
        return None
    return setup


def _set_up(folder: Path) -> ArmSetup:
    requirements = [f"{name}=={version}" for name, version in installed_packages().items()]
    downloads = folder / "downloads"
    apt = Apt(downloads / "apt", ARCHITECTURE)
    with _step("lists of Debian packages"):
        apt.update()
    packages, emulator = apt.needed(SYSTEM_PACKAGES), apt.single(f"{EMULATOR_PACKAGE}:{apt.host}")
    total = sum(package.bytes for package in (*packages, emulator))
    with _step(f"{len(packages) + 1} Debian packages, {size(total)}"):
        apt.fetch(SYSTEM_PACKAGES)
        apt.fetch_single(f"{EMULATOR_PACKAGE}:{apt.host}")
    with atomic_folder(folder / "setup", overwrite=True) as new:
        with _step("unpacking"):
            system = new / SYSTEM
            for name in ("bin", "lib", "sbin"):
                (system / "usr" / name).mkdir(parents=True)
                (system / name).symlink_to(f"usr/{name}")
            for package in packages:
                apt.unpack(package, system)
            apt.unpack(emulator, new / "qemu")
            (new / "qemu" / "usr" / "bin" / QEMU).rename(new / QEMU)
            shutil.rmtree(new / "qemu")
            _strip(system)
        with _step(f"wheels: {', '.join(requirements)}"):
            install_wheels(requirements, new / SITE, downloads / "wheels")
        with _step("starting it once on each core"):
            about = _tried(new)
        # compiled in their final place
        (new / BYTECODE / new.relative_to("/")).rename(new / BYTECODE / (folder / "setup").relative_to("/"))
        content = sum(file.lstat().st_size for file in new.rglob("*") if not file.is_dir() or file.is_symlink())
        about = dataclasses.replace(about, bytes=content)
        (new / ABOUT).write_text(json.dumps(dataclasses.asdict(about), indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(downloads, ignore_errors=True)
    return find_setup()


def _strip(system: Path) -> None:
    """Remove files that no program needs."""
    for name in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/lib/aarch64-linux-gnu/gconv", "var"):
        shutil.rmtree(system / name, ignore_errors=True)


def _tried(folder: Path) -> About:
    """Start a new installation on every core; returns its description.

    Raises:
        UserError: a program does not run.
    """
    printed = subprocess.run([str(folder / QEMU), "--version"], capture_output=True, text=True).stdout
    match = re.search(r"version ([\d.]+)", printed)
    if not match:
        raise UserError(
            f"the emulator of Debian's {EMULATOR_PACKAGE} does not start here; see apps/linux-arm/README.md"
        )
    about = About(VERSION, f"QEMU {match[1]}", "", {}, 0)
    for core in CORES.values():
        command, environment = ArmSetup(folder, about).program(core, "mobiledet.devices.arm.versions", *PACKAGES)
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
            raise UserError(f"Python does not run on the emulated {core.name}: {lines[-1]}; run arm-setup --renew")
        python, packages = json.loads(done.stdout)
        about = dataclasses.replace(about, python=python, packages=packages)
    return about


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Show a step with a spinner while it runs."""
    with Console(stderr=True).status(name):
        yield
    print(f"done: {name}", flush=True)
