"""``--device arm``: the agent of this installation on an emulated processor. Correct results, no latency."""

import dataclasses
import weakref
from contextlib import ExitStack

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.devices.agent.client import AgentSession
from mobiledet.devices.arm.cores import core_at
from mobiledet.devices.arm.emulated import emulated_agent
from mobiledet.devices.arm.setup_folder import find_setup
from mobiledet.devices.base import DeviceInfo, DeviceState
from mobiledet.devices.options import InputMode
from mobiledet.devices.starting import await_agent


class ArmDevice:
    """An emulated processor. Its process ends when the device is closed, and with this process.

    Args:
        address: ``arm:CORE``, or ``arm`` for the default core.
        mode: as in ``AgentDevice``.

    Raises:
        UserError: the core is unknown, the emulator is not set up, or the agent does not start.
    """

    def __init__(self, address: str, mode: InputMode = "image") -> None:
        self._core, self._setup = core_at(address), find_setup()
        with ExitStack() as stack:
            running = stack.enter_context(emulated_agent(self._setup, self._core))
            self._agent = await_agent(running.url, running.token, mode, lambda: running.is_alive)
            stack.callback(self._agent.close)
            self._release = weakref.finalize(self, stack.pop_all().close)

    def info(self) -> DeviceInfo:
        cpu = f"{self._core.name}, emulated by {self._setup.about.emulator}"
        return dataclasses.replace(self._agent.info(), name=self._core.address, cpu=cpu)

    def state(self) -> DeviceState:
        return self._agent.state()

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> AgentSession:
        """Upload the bundle to the emulator and load the file; see ``Device.load``. Latency is not measured."""
        return self._agent.load(bundle, file, accelerator, threads)

    def close(self) -> None:
        """End the emulator."""
        self._release()
