"""Runs the agent in an emulator."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mobiledet.devices.agent.token import TOKEN_VARIABLE
from mobiledet.devices.arm.cores import Core
from mobiledet.devices.arm.setup_folder import ArmSetup
from mobiledet.errors import UserError
from mobiledet.files.leftovers import scratch_folder

END_SECONDS = 5.0


@dataclass(frozen=True)
class EmulatedAgent:
    """A running agent in the emulator.

    Attributes:
        url, token: address and token of the agent.
        process: process of the emulator.
    """

    url: str
    token: str
    process: subprocess.Popen[str]

    @property
    def is_alive(self) -> bool:
        """Whether the emulator still runs."""
        return self.process.poll() is None


@contextmanager
def emulated_agent(setup: ArmSetup, core: Core) -> Iterator[EmulatedAgent]:
    """Serve the agent on an emulated core while the block runs.

    Raises:
        UserError: it does not start.
    """
    token = secrets.token_hex(16)
    with scratch_folder("arm") as folder:
        command, environment = setup.program(core, "mobiledet.devices.arm.agent", str(folder / "bundles"))
        print(f"starting an agent on an emulated {core.name} ({setup.about.emulator}) ...", file=sys.stderr, flush=True)
        with (folder / "errors.txt").open("w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**environment, TOKEN_VARIABLE: token}
            )
            try:
                assert process.stdout
                port = process.stdout.readline().strip()
                if not port.isdecimal():
                    raise UserError(
                        f"the agent does not start on an emulated {core.name}: {last_words(process, folder)}"
                    )
                yield EmulatedAgent(f"http://127.0.0.1:{port}", token, process)
            finally:
                process.kill()
                process.wait(END_SECONDS)
                process.stdout.close()  # type: ignore[union-attr]


def last_words(process: subprocess.Popen[str], folder: Path) -> str:
    """The last line that a process printed, or its exit status."""
    status = process.wait(END_SECONDS)
    lines = (folder / "errors.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with status {status}"
