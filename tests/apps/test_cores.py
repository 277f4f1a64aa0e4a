"""What continuous integration makes of the cores in Kotlin and Swift: `.ci/cores` with doubles of the toolchains on its
PATH, because a machine without them, or without a network, cannot be had here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASICS = ("bash", "env", "sh", "dirname", "id", "uname", "grep", "mkdir", "rm", "cat")
OFFLINE = "[ERROR] Could not transfer artifact junit:junit:pom:4.13.2 from/to central: Name or service not known"
WRONG = "[ERROR] Could not find artifact junit:junit:pom:99 in central"
NO_SWIFT = "ios: nothing is checked: apt-get is missing; install Swift 6 itself instead"
# libraries are empty folders
MAVEN = 'for word; do case $word in -DoutputDirectory=*) mkdir -p "${word#*=}" ;; esac; done'
GOOD = {"javac": "echo javac 21.0.2", "java": "exit 0", "mvn": MAVEN}
GOOD_SWIFT = "echo Swift version 6.0"


class Machine:
    """A machine that has a few programs, besides what every one has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in BASICS:
            path = shutil.which(name)
            assert path, name
            (self.programs / name).symlink_to(path)

    def add(self, **scripts: str) -> None:
        for name, script in scripts.items():
            (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (self.programs / name).chmod(0o755)

    def run(self, script: Path) -> tuple[int, list[str]]:
        """Exit status, and the lines that tell that something is not checked."""
        names = {"PATH": str(self.programs), "HOME": str(self.folder), "PYTHON": sys.executable}
        done = subprocess.run([str(script)], env=names, capture_output=True, text=True, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        return done.returncode, [line for line in lines if "nothing is checked" in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def cores(project_root: Path) -> Path:
    return project_root / ".ci" / "cores"


def test_without_toolchains_it_says_so_and_goes_on(machine: Machine, cores: Path) -> None:
    missing = "android: nothing is checked: java is missing; install a JDK of version 17 or later and Maven"
    assert machine.run(cores) == (0, [missing, NO_SWIFT])


def test_without_a_network(machine: Machine, cores: Path) -> None:
    machine.add(**GOOD)
    machine.add(mvn=f"echo '{OFFLINE}'; exit 1")
    assert machine.run(cores) == (
        0,
        [f"android: nothing is checked: Maven cannot get the libraries: {OFFLINE.removeprefix('[ERROR] ')}", NO_SWIFT],
    )
    machine.add(**{"apt-get": '[ "$1" = indextargets ] || { echo "E: Failed to fetch"; exit 100; }', "dpkg-deb": ""})
    machine.add(unshare="", flock="", timeout='shift; exec "$@"', awk="echo http://mirror.example/debian")
    status, said = machine.run(cores)
    assert (status, said[1:]) == (0, ["ios: nothing is checked: Swift cannot be downloaded: E: Failed to fetch"])


@pytest.mark.parametrize(
    ("programs", "status"),
    [
        ({"mvn": f"echo '{WRONG}'; exit 1"}, 1),
        ({"java": "echo 'error: unresolved reference' >&2; exit 1"}, 1),
        ({"javac": "echo javac 11.0.2"}, 0),
    ],
    ids=["a library that does not exist", "a file that does not compile", "an old JDK"],
)
def test_mistakes_in_kotlin_fail(machine: Machine, cores: Path, programs: dict[str, str], status: int) -> None:
    machine.add(**GOOD)
    machine.add(**programs)
    found, said = machine.run(cores)
    assert (found, len(said)) == (status, 2 * (not status))


@pytest.mark.parametrize(("script", "status"), [(GOOD_SWIFT, 0), (f'[ "$1" = test ] && exit 1; {GOOD_SWIFT}', 1)])
def test_mistakes_in_swift_fail(machine: Machine, cores: Path, script: str, status: int) -> None:
    machine.add(swift=script)
    machine.add(**{"swift-format": "exit 0"})
    found, said = machine.run(cores)
    assert (found, len(said)) == (status, 1)
