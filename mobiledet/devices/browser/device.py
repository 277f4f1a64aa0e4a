"""``--device browser``: serves the page, waits until somebody opens it, and uses it like any agent."""

import dataclasses
from contextlib import ExitStack

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.devices.agent.client import AgentDevice, AgentSession
from mobiledet.devices.agent.token import own_token
from mobiledet.devices.base import DeviceInfo, DeviceState
from mobiledet.devices.browser.broker import Broker
from mobiledet.devices.browser.serving import serve_page
from mobiledet.devices.options import InputMode
from mobiledet.errors import UserError

PATIENCE_SECONDS = 600.0


class BrowserDevice:
    """A page in a browser as a device.

    Args:
        where: see ``serve_page``.
        token: token of the page and of hosts; by default that of the environment, else a new one.
        mode: see ``AgentDevice``.
        patience_seconds: time to wait until somebody opens the page.

    Raises:
        UserError: nobody opens the page, or it cannot be served.
    """

    def __init__(
        self, where: str = "", token: str = "", mode: InputMode = "image", patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._name = f"browser:{where}" if where else "browser"
        token = token or own_token(None)
        with ExitStack() as stack:
            broker = Broker()
            page = stack.enter_context(serve_page(where, broker, token))
            print(page.invitation, flush=True)
            if not broker.wait_for_page(patience_seconds):
                raise UserError(f"nobody opened the page for {patience_seconds:.0f} s; run the command again")
            self._device = AgentDevice(page.url, token, mode)
            stack.callback(self._device.close)
            self._stack = stack.pop_all()
        print(f"page: open in {self._device.info().os}, {self._device.info().cores} threads", flush=True)

    def info(self) -> DeviceInfo:
        return dataclasses.replace(self._device.info(), name=self._name)

    def state(self) -> DeviceState:
        return self._device.state()

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> AgentSession:
        """Upload the bundle to the page and load the file; see ``Device.load``."""
        return self._device.load(bundle, file, accelerator, threads)

    def close(self) -> None:
        """Stop serving the page."""
        self._stack.close()
