"""Downloads wheels for ARM with pip or uv of this machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from mobiledet.errors import UserError

PYTHON_VERSION = "3.13"
GLIBC = (28, 27, 17)  # minor versions of glibc 2 in the tags of wheels


def install_wheels(requirements: Sequence[str], target: Path, cache: Path) -> None:
    """Unpack packages and their dependencies, for Python 3.13 on ARM.

    Args:
        requirements: such as ``numpy==2.4.6``.
        target: a folder that does not exist yet.
        cache: folder that keeps the downloads.

    Raises:
        UserError: pip and uv are missing, a package has no wheel, or the network or disk space is missing.
    """
    command = [*_installer(cache), "--target", str(target), *requirements]
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0", "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("ERROR:", "error:", "  ×", "  ╰"))] or lines[-1:]
        raise UserError(
            f"cannot download {', '.join(requirements)} for ARM: "
            f"{' '.join(errors) or f'exit status {done.returncode}'}; check the network and the disk, then repeat the "
            "command"
        )


def _installer(cache: Path) -> list[str]:
    if find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    elif shutil.which("pip"):
        pip = ["pip"]
    elif shutil.which("uv"):
        chosen = ["--python-platform", "aarch64-manylinux_2_28", "--python-version", PYTHON_VERSION]
        return ["uv", "pip", "install", "--quiet", "--cache-dir", str(cache), "--only-binary", ":all:", *chosen]
    else:
        raise UserError("neither pip nor uv is installed, so wheels cannot be downloaded; install pip or uv")
    digits = PYTHON_VERSION.replace(".", "")
    tags = [f"--platform=manylinux_2_{minor}_aarch64" for minor in GLIBC] + ["--platform=manylinux2014_aarch64"]
    abis = [f"--abi={abi}" for abi in (f"cp{digits}", "abi3", "none")]
    python = [f"--python-version={PYTHON_VERSION}", "--implementation=cp", *abis]
    options = ["--quiet", "--no-compile", "--disable-pip-version-check", "--only-binary=:all:"]
    return [*pip, "install", *options, "--cache-dir", str(cache), *tags, *python]
