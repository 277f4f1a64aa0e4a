"""A Core AI detector on this machine, in Apple's own runtime, which coreai-core provides for Linux, too.

The results are correct, but the times say nothing about a phone. The runtime runs in a process of its own.
"""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from mobiledet.devices.served import ServedDetector
from mobiledet.errors import UserError

ACCELERATOR = "cpu"
SERVER = "mobiledet.devices.coreai_process"
RUNTIME = "coreai-core"
# package -> the tested version of the beta; another one may behave differently
TESTED = {RUNTIME: "1.0.0b3", "coreai-torch": "0.4.3"}
WHEELS = "it has wheels for Python 3.11 to 3.14 on macOS and on Linux with glibc 2.34 or later, x86-64 and arm64"


class CoreAiDetector(ServedDetector):
    """A detector whose asset takes one raw RGB image and returns boxes, classes, scores and count.

    See ``ServedDetector``.

    Raises:
        UserError: the runtime is not installed, has another version than the tested one or does not run on this
            machine, or the asset is damaged or not such a detector.
    """

    accelerator = ACCELERATOR

    def __init__(self, path: Path, accelerator: str = "auto", threads: int = 1) -> None:
        if find_spec("coreai") is None:
            raise UserError(
                f"{path} needs {RUNTIME}, which is not installed: pip install 'mobiledet[coreai]'; {WHEELS}"
            )
        require_tested(RUNTIME)
        super().__init__(path, accelerator, threads, SERVER, "Apple's runtime")


def require_tested(*packages: str) -> None:
    """Check that packages are installed in the tested version of the beta.

    Raises:
        UserError: a package is missing or has another version.
    """
    for package in packages:
        try:
            found = version(package)
        except PackageNotFoundError as error:
            raise UserError(f"{package} is not installed: pip install 'mobiledet[coreai]'; {WHEELS}") from error
        if found != TESTED[package]:
            raise UserError(
                f"{package} {found} is installed, but this beta was tested with {TESTED[package]}: "
                "pip install 'mobiledet[coreai]'"
            )
