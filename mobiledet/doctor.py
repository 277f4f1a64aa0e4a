"""``mobiledet doctor``: finds what is missing or broken on this machine, and says how to fix it.

Versions come from the metadata of installed packages. Packages that must be imported to be checked are imported in a
process of their own, because a broken build may crash it.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobiledet.devices.arm.setup_folder import arm_folder, find_setup
from mobiledet.errors import UserError
from mobiledet.processes.cores import is_x86, usable_cores

Status = Literal["ok", "warning", "problem"]
Extra = Literal["train", "evaluate", "pretrained", "video", "sign", "tflite", "coreml", "coreai", "dev"]

NEEDS: dict[Extra, str] = {
    "train": "mobiledet train",
    "evaluate": "charts as PNG, faster resizing, other scorers, QR codes",
    "pretrained": "mobiledet train --pretrained imagenet with weights of timm",
    "video": "mobiledet predict on videos and cameras",
    "sign": "mobiledet sign",
    "tflite": "mobiledet export --format tflite",
    "coreml": "mobiledet export --format coreml",
    "coreai": "mobiledet export --format coreai, and evaluating its files",
    "dev": "the project's own tests",
}
RUNS = "running bundles"  # what a plain install is for
MODULES = {"cv2": "opencv-python-headless"}  # modules whose package has another name
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"  # exists only in a checkout; a wheel has only ranges
PROBE_TIMEOUT_S = 180
GIB = 2**30
ENOUGH_MEMORY_GIB = 4  # a conversion to Core ML or TFLite keeps several copies of the network
ENOUGH_DISK_GIB = 2

PROBE_TORCH = """
import json, torch, torchvision
torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
cuda = torch.cuda.is_available()
print(json.dumps({
    "torch": torch.__version__,
    "torchvision": torchvision.__version__,
    "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
}))
"""
PROBE_LITERT = "from ai_edge_litert.interpreter import Interpreter"
PROBE_COREAI = "from coreai.authoring import AIModelAsset"
PROBE_OPENCV = "import cv2, numpy; assert cv2.imencode('.jpg', numpy.zeros((8, 8, 3), 'uint8'))[0]"


@dataclass(frozen=True)
class DoctorConfig:
    """Check this machine: Python, packages, torch and torchvision, LiteRT, Core AI, processor, memory, disk."""

    need: tuple[Extra, ...] = ()
    """Extras whose packages must be complete, in addition to a plain install. Missing packages of other extras are only
    a warning."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Check:
    """One finding; ``mend`` says how to fix it and is empty if nothing needs to be done."""

    name: str
    status: Status
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Probe:
    """Result of Python code that ran in a process of its own.

    Attributes:
        output: its standard output, if it succeeded.
        error: otherwise the last line of its traceback, or the signal that ended it.
    """

    output: str = ""
    error: str = ""


def run(config: DoctorConfig) -> int:
    """Print all checks; return 1 if any is a problem, otherwise 0."""
    checks = list(examine(config.need))
    if config.json:
        healthy = all(check.status != "problem" for check in checks)
        print(json.dumps({"healthy": healthy, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _print_table(checks)
    return int(any(check.status == "problem" for check in checks))


def examine(need: tuple[Extra, ...]) -> Iterator[Check]:
    """Run all checks; missing packages of the extras in ``need`` are problems, those of other extras warnings."""
    yield check_python()
    yield from check_packages(need)
    if _installed("torch") or _installed("torchvision") or "train" in need:
        yield from check_torch()
    yield check_opencv()
    yield check_import("LiteRT", PROBE_LITERT, "ai-edge-litert")
    if _installed("coreai-core") or "coreai" in need:
        yield check_import("Core AI", PROBE_COREAI, "coreai-core")
    yield check_arm()
    yield check_cores()
    yield check_memory()
    yield check_disk("disk, working folder", Path.cwd())
    yield check_disk("disk, cache", cache_folder())
    yield check_writable(Path.cwd())


def check_python() -> Check:
    """Compare the interpreter's version with ``requires-python``."""
    found = platform.python_version()
    required = _own_metadata("Requires-Python")
    if required and not Requirement(f"python{required}").specifier.contains(found):
        return Check("Python", "problem", found, f"make the virtual environment with Python {required}")
    return Check("Python", "ok", found)


def check_packages(need: tuple[Extra, ...]) -> Iterator[Check]:
    """Compare the packages of a plain install and of each extra with the ranges of pyproject.toml."""
    try:
        requirements = [Requirement(text) for text in metadata.requires("mobiledet") or []]
    except metadata.PackageNotFoundError:
        yield Check("mobiledet", "problem", "not installed", _install_command(_own_extra("all")))
        return
    tested = tested_versions()
    yield check_extra("", [r for r in requirements if r.marker is None], tested, needed=True)
    for extra in NEEDS:
        own = [r for r in requirements if r.name != "mobiledet" and _belongs(r, extra)]
        yield check_extra(extra, own, tested, needed=extra in need)


def extra_with(module: str) -> str:
    """What to install for a missing module, such as ``mobiledet[train]``; empty if no extra contains it."""
    package = MODULES.get(module, module.replace("_", "-"))
    for text in metadata.requires("mobiledet") or []:
        requirement = Requirement(text)
        extra = next((extra for extra in NEEDS if _belongs(requirement, extra)), None)
        if requirement.name == package:
            return f"mobiledet[{extra}]" if extra else "mobiledet"
    return ""


def check_extra(
    extra: Extra | Literal[""], requirements: list[Requirement], tested: dict[str, str], needed: bool
) -> Check:
    """Check the packages of one extra.

    Args:
        extra: its name in pyproject.toml; empty for a plain install.
        requirements: its packages and their version ranges.
        tested: the tested version of each package, if known.
        needed: whether a missing package is a problem rather than a warning.
    """
    name = f"packages [{extra}]" if extra else "packages"
    lacking = [str(_plain(r)) for r in requirements if not _installed(r.name)]
    outside = [
        f"{r.name} {_installed(r.name)} (needs {r.specifier})"
        for r in requirements
        if (version := _installed(r.name)) and not r.specifier.contains(version, prereleases=True)
    ]
    if lacking or outside:
        found = "; ".join(
            ([f"not installed: {', '.join(lacking)}"] if lacking else [])
            + ([f"outside the tested range: {', '.join(outside)}"] if outside else [])
        )
        mend = f"for {NEEDS[extra] if extra else RUNS}: {_install_command(_own_extra(extra))}"
        return Check(name, "problem" if needed else "warning", found, mend)
    differing = [
        f"{r.name} {_installed(r.name)} (tested: {tested[r.name]})"
        for r in requirements
        if r.name in tested and Version(_installed(r.name) or "0").public != Version(tested[r.name]).public
    ]
    found = f"{len(requirements)} installed"
    if not tested:
        return Check(name, "ok", f"{found}, all in the tested range")
    if differing:
        return Check(name, "ok", f"{found}, in range; differing: {', '.join(differing)}")
    return Check(name, "ok", f"{found}, all in the tested version")


def check_torch() -> Iterator[Check]:
    """Whether torch and torchvision match each other and can be loaded, and which GPUs they see."""
    versions = {name: _installed(name) for name in ("torch", "torchvision")}
    found = ", ".join(f"{name} {version or 'not installed'}" for name, version in versions.items())
    together = _install_command("--reinstall torch torchvision")
    mend = f"install both with one command and from one source, so that their builds fit: {together}"
    name = "torch and torchvision"

    torch_version, vision_version = versions["torch"], versions["torchvision"]
    if torch_version is None or vision_version is None:
        yield Check(name, "problem", found, mend)
        return
    probe = run_probe(PROBE_TORCH)
    if probe.error:
        reason = "their builds do not fit" if "torchvision::nms" in probe.error else "they do not load together"
        yield Check(name, "problem", f"{found}: {reason} ({probe.error})", mend)
        return
    if not versions_fit(torch_version, vision_version):
        yield Check(name, "warning", f"{found}: not released for each other", mend)
    else:
        yield Check(name, "ok", f"{found}, loaded together")
    yield check_gpu(json.loads(probe.output)["gpus"])


def check_gpu(gpus: list[str]) -> Check:
    """Whether torch sees a GPU if an NVIDIA driver is installed."""
    if gpus:
        return Check("CUDA", "ok", ", ".join(gpus))
    if shutil.which("nvidia-smi"):
        mend = f"if nvidia-smi runs, install a CUDA build: {_install_command('--reinstall torch torchvision')}"
        return Check("CUDA", "warning", "an NVIDIA driver is installed, but torch sees no GPU", mend)
    return Check("CUDA", "ok", "none; training runs on the processor")


def versions_fit(torch_version: str, vision_version: str) -> bool:
    """Whether a version of torchvision was released for one of torch: 0.N belongs to 2.(N - 15), and local labels
    (+cpu, +cu130) must agree."""
    torch, vision = Version(torch_version), Version(vision_version)
    labels_agree = torch.local is None or vision.local is None or torch.local == vision.local
    return (torch.major, torch.minor) == (2, vision.minor - 15) and vision.major == 0 and labels_agree


def check_opencv() -> Check:
    """Whether OpenCV works, and whether several of its wheels overwrite each other, which share a folder."""
    wheels = ("opencv-python-headless", "opencv-contrib-python", "opencv-python", "opencv-contrib-python-headless")
    found = {name: version for name in wheels if (version := _installed(name))}
    if not found:
        return Check("OpenCV", "ok", "not installed; NumPy resizes instead, about ten times more slowly")
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    mend = _install_command("--reinstall " + " ".join(found))
    if len(set(found.values())) > 1:
        return Check("OpenCV", "warning", f"{text}: different versions overwrite each other", mend)
    probe = run_probe(PROBE_OPENCV)
    if probe.error:
        return Check("OpenCV", "problem", f"{text}: {probe.error}", mend)
    arm = "" if is_x86() else "; NumPy resizes, because OpenCV rounds differently here"
    return Check("OpenCV", "ok", f"{text}, writes JPEG{arm}")


def check_import(name: str, source: str, distribution: str) -> Check:
    """Whether the Python code ``source`` runs; if not, ``distribution`` must be reinstalled."""
    version = _installed(distribution) or "not installed"
    probe = run_probe(source)
    if probe.error:
        mend = _install_command(f"--reinstall {distribution}")
        return Check(name, "problem", f"{distribution} {version}: {probe.error}", mend)
    return Check(name, "ok", f"{distribution} {version}, loads")


def check_arm() -> Check:
    """Whether emulated ARM processors are set up and up to date."""
    name = "emulated ARM"
    if not (arm_folder() / "setup").is_dir():
        return Check(name, "ok", "not set up; `mobiledet arm-setup` does it, for --device arm and arm-check")
    try:
        setup = find_setup()
    except UserError as error:
        return Check(name, "warning", str(error), "mobiledet arm-setup --renew")
    if setup.outdated:
        return Check(name, "warning", f"versions differ from this machine: {setup.outdated}", "mobiledet arm-setup")
    return Check(name, "ok", str(setup.about))


def check_cores() -> Check:
    """Number of processor cores that this process may use."""
    cores = usable_cores()
    if cores < 2:
        return Check("cores", "warning", f"{cores}", "works, but slowly: data loading and training share one core")
    return Check("cores", "ok", f"{cores} ({platform.machine()})")


def check_memory() -> Check:
    """Memory of the machine, or the container's limit if that is less."""
    memory_gib = memory_bytes() / GIB
    if memory_gib < ENOUGH_MEMORY_GIB:
        mend = f"give it {ENOUGH_MEMORY_GIB} GiB, or train with a smaller batch and export elsewhere"
        return Check("memory", "warning", f"{memory_gib:.1f} GiB", mend)
    return Check("memory", "ok", f"{memory_gib:.1f} GiB")


def check_disk(name: str, folder: Path) -> Check:
    """Free space of the disk that holds ``folder``, which need not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free_gib = shutil.disk_usage(existing).free / GIB
    found = f"{free_gib:.1f} GiB free at {folder}"
    if free_gib < ENOUGH_DISK_GIB:
        return Check(name, "warning", found, f"free some space: a run and its bundle need {ENOUGH_DISK_GIB} GiB")
    return Check(name, "ok", found)


def check_writable(folder: Path) -> Check:
    """Whether runs and results can be written below ``folder``."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Check("write permission", "ok", f"{folder}")
    except OSError as error:
        found = f"cannot write in {folder}: {(error.strerror or str(error)).lower()}"
        return Check("write permission", "problem", found, "work in a folder that you may write, or pass --out")


def run_probe(source: str) -> Probe:
    """Run Python source code in a process of its own, without the working folder on its module path."""
    command = [sys.executable, "-P", "-c", source]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Probe(error=f"no end after {PROBE_TIMEOUT_S} s")
    if done.returncode < 0:
        return Probe(error=f"ended by signal {-done.returncode}")
    if done.returncode > 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return Probe(error=lines[-1].strip() if lines else f"exit status {done.returncode}")
    return Probe(output=done.stdout)


def tested_versions() -> dict[str, str]:
    """Tested version of each package; empty if constraints.txt does not exist."""
    if not CONSTRAINTS.is_file():
        return {}
    return dict(re.findall(r"^([\w.-]+)==(\S+)", CONSTRAINTS.read_text(), flags=re.MULTILINE))


def cache_folder() -> Path:
    """The folder of downloaded weights, by torch's own rule but without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch")


def memory_bytes() -> int:
    """Physical memory in bytes, or the limit of the control group (container) if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
        return min(physical, int(text))
    return physical


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _own_metadata(field: str) -> str | None:
    try:
        return metadata.metadata("mobiledet")[field]
    except metadata.PackageNotFoundError:
        return None


def _belongs(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is not None and requirement.marker.evaluate({"extra": extra})


def _plain(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _own_extra(extra: str) -> str:
    brackets = f"[{extra}]" if extra else ""
    return f"-e '.{brackets}'" if CONSTRAINTS.is_file() else f"'mobiledet{brackets}'"


def _install_command(what: str) -> str:
    constraints = " -c constraints.txt" if CONSTRAINTS.is_file() else ""
    return f"uv pip install{constraints} {what}"


def _print_table(checks: list[Check]) -> None:
    looks = {"ok": Text("OK", "green"), "warning": Text("warning", "yellow"), "problem": Text("problem", "bold red")}
    table = Table(show_lines=any(check.mend for check in checks))
    for column in ("check", "", "finding, and how to fix it"):
        table.add_column(column, overflow="fold")
    for check in checks:
        found = check.found + (f"\n-> {check.mend}" if check.mend else "")
        table.add_row(Text(check.name), looks[check.status], Text(found))
    Console().print(table)
