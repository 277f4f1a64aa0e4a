"""Downloads Debian packages of another release and architecture with the machine's own apt-get.

apt-get is given a configuration of its own: the machine's sources with another release name, its settings for
downloads (proxies, certificates, retries), and folders below ours for everything that it writes.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobiledet.errors import UserError

# first release whose QEMU (10.0) emulates /proc/cpuinfo, which XNNPACK reads; with QEMU 7.2 its kernels crash
RELEASE = "trixie"
ROLLING = ("stable", "testing", "unstable", "sid")
ELSEWHERE = "elsewhere take the container: apps/linux-arm/README.md"
SOURCE_LISTS = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))


@dataclass(frozen=True)
class Package:
    """A package to download.

    Attributes:
        file: name of its archive.
        bytes: size of the archive.
    """

    file: str
    bytes: int


class Apt:
    """apt-get in a folder.

    Args:
        folder: folder for all its files; earlier downloads are kept.
        architecture: default architecture of packages, such as ``arm64``.

    Raises:
        UserError: apt-get or dpkg is missing, this system is not Debian, or the folder cannot be written.
    """

    def __init__(self, folder: Path, architecture: str) -> None:
        if platform.system() != "Linux":
            raise UserError(f"arm-setup needs Linux with apt-get and dpkg, this is {platform.system()}; {ELSEWHERE}")
        for tool in ("apt-get", "apt-config", "dpkg"):
            if not shutil.which(tool):
                raise UserError(f"{tool} is not installed, so Debian packages cannot be downloaded; {ELSEWHERE}")
        self.host = _run(["dpkg", "--print-architecture"]).strip()
        self._folder = folder.absolute()
        self.archives = self._folder / "archives"
        sources = debian_sources(SOURCE_LISTS, _codename())
        settings = _run(["apt-config", "dump", "--no-empty"]).splitlines()
        kept = [line for line in settings if line.startswith("Acquire::") and "::IndexTargets::" not in line]
        own = _configuration(self._folder, architecture, self.host)
        try:
            for name in ("lists/partial", "archives/partial", "nothing/partial", "sources", "state"):
                (self._folder / name).mkdir(parents=True, exist_ok=True)
            (self._folder / "sources" / "debian.sources").write_text("\n\n".join(sources) + "\n", encoding="utf-8")
            (self._folder / "state" / "status").touch()  # nothing is installed
            (self._folder / "apt.conf").write_text("\n".join([*kept, *own]) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {self._folder}: {(error.strerror or str(error)).lower()}") from error

    def update(self) -> None:
        """Download the lists of packages; raises as ``fetch`` does."""
        self._get("update")

    def needed(self, names: Sequence[str]) -> list[Package]:
        """The packages, with their dependencies, that must be downloaded; raises as ``fetch`` does."""
        return self._listed("--download-only", "install", *names)

    def fetch(self, names: Sequence[str]) -> None:
        """Download packages and their dependencies into ``archives``.

        Raises:
            UserError: the network, a package or disk space is missing.
        """
        self._get("--download-only", "install", *names)

    def single(self, name: str) -> Package:
        """A single package without its dependencies; raises as ``fetch`` does."""
        return self._listed("download", name)[0]

    def fetch_single(self, name: str) -> None:
        """Download a single package without its dependencies into ``archives``."""
        self._get("download", name)

    def unpack(self, package: Package, target: Path) -> None:
        """Unpack a downloaded package into ``target``, keeping its links.

        Raises:
            UserError: the package is damaged, or disk space is missing.
        """
        _run(["dpkg", "-x", str(self.archives / package.file), str(target)])

    def _listed(self, *arguments: str) -> list[Package]:
        """List packages as if nothing had been downloaded, because apt-get omits packages in its archives."""
        nothing = self._folder / "nothing"
        return list(_uris(self._get("--print-uris", f"-oDir::Cache::Archives={nothing}", *arguments, folder=nothing)))

    def _get(self, *arguments: str, folder: Path | None = None) -> str:
        command = ["apt-get", "-qq", "--yes", "--no-install-recommends", *arguments]
        return _run(command, {"APT_CONFIG": str(self._folder / "apt.conf")}, folder or self.archives)


def debian_sources(places: Sequence[Path], codename: str) -> list[str]:
    """The machine's own sources of the main archive, with its release replaced by ``RELEASE``.

    Args:
        places: files and folders of sources.
        codename: code name of the machine's release.

    Raises:
        UserError: there is no such source.
    """
    files = [file for place in places for file in (sorted(place.glob("*")) if place.is_dir() else [place])]
    found: list[str] = []
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".sources":
            found += _stanzas(text, codename)
        elif file.suffix == ".list":
            found += _lines(text, codename)
    if not found:
        raise UserError(
            f"apt-get has no source of Debian {codename or 'of a known release'} on this machine; {ELSEWHERE}"
        )
    return found


def _stanzas(text: str, codename: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        is_wanted = (
            "deb" in fields.get("Types", "").split()
            and fields.get("Enabled", "yes").lower() not in ("no", "false", "0")
            and "main" in fields.get("Components", "").split()
            and {codename, *ROLLING} & set(fields.get("Suites", "").split())
        )
        if is_wanted:
            changed = {**fields, "Types": "deb", "Suites": RELEASE, "Components": "main"}
            yield "\n".join(f"{name}: {value}" for name, value in changed.items())


def _lines(text: str, codename: str) -> Iterator[str]:
    """Convert one-line sources to stanzas."""
    for line in text.splitlines():
        match = re.fullmatch(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]*)(?:#.*)?", line)
        if match and match[3] in (codename, *ROLLING) and "main" in match[4].split():
            stanza = ["Types: deb", f"URIs: {match[2]}", f"Suites: {RELEASE}", "Components: main"]
            options = dict(option.partition("=")[::2] for option in (match[1] or "").split())
            names = {"signed-by": "Signed-By", "trusted": "Trusted", "check-valid-until": "Check-Valid-Until"}
            yield "\n".join([*stanza, *(f"{names[key]}: {value}" for key, value in options.items() if key in names)])


def _configuration(folder: Path, architecture: str, host: str) -> Iterator[str]:
    for name, value in {
        "Dir::Etc::Main": "/dev/null",
        "Dir::Etc::Parts": "/dev/null",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": folder / "sources",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "state" / "status",
        "Dir::Cache": folder,
        "Dir::Cache::Archives": folder / "archives",
        "Dir::Log": folder / "log",
        "APT::Sandbox::User": "root",  # run by root, apt-get would use another user, who cannot write here
        "APT::Update::Error-Mode": "any",
        "APT::Architecture": architecture,
        "Acquire::Languages": "none",
    }.items():
        yield f'{name} "{value}";'
    yield f'APT::Architectures {{ "{architecture}"; "{host}"; }};'


def _uris(text: str) -> Iterator[Package]:
    for match in re.finditer(r"^'[^']*' (\S+) (\d+)", text, re.MULTILINE):
        yield Package(match[1], int(match[2]))


def _codename() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def _run(command: Sequence[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", **(environment or {})},
    )
    if done.returncode:
        lines = [
            line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg"))
        ] or done.stderr.splitlines()
        raise UserError(
            f"{command[0]} failed: {lines[0].removeprefix('E: ') if lines else f'exit status {done.returncode}'}; "
            "check the network, the disk and /etc/apt, then repeat the command"
        )
    return done.stdout
