"""An iPhone as a device, through the app's agent over the cable."""

import dataclasses
import secrets
import socket
import subprocess
import weakref
from contextlib import ExitStack, suppress

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.devices.agent.client import AgentDevice, AgentSession
from mobiledet.devices.agent.connection import AgentRefusal
from mobiledet.devices.agent.token import given_token
from mobiledet.devices.base import DeviceInfo, DeviceState
from mobiledet.devices.ios.tools import ListedPhone, Tool, find_tool, forward_command
from mobiledet.devices.options import ANY_PHONE, InputMode, PhoneOptions
from mobiledet.devices.starting import await_agent
from mobiledet.errors import UserError

PORT = 8765


class IosDevice:
    """An iPhone on a cable. devicectl starts the app with a new token; with other tools the user opens the app.

    Args:
        address: ``ios:UDID``, or ``ios`` for the only device.
        token: token that the app shows if it is opened by hand.
        mode: as in ``AgentDevice``.
        options: preparation of the phone.

    Raises:
        UserError: a tool, the phone or the app is missing, or one of them fails.
    """

    def __init__(
        self, address: str, token: str = "", mode: InputMode = "image", options: PhoneOptions = ANY_PHONE
    ) -> None:
        if options.fixed_performance or options.cpus:
            raise UserError("--fixed-performance and --cpus are for Android phones; iOS has neither")
        if options.app and not options.app.exists():
            raise UserError(f"--app {options.app}: there is no such file")
        self._tool = find_tool()
        self._udid = _choose(self._tool, address.partition(":")[2]).udid
        self.name = f"ios:{self._udid}"
        token = secrets.token_hex(16) if self._tool.starts_apps else self._token_of_the_app(token)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        forward = forward_command(self._udid, port, PORT)
        if options.app:
            self._tool.install(self._udid, options.app)
        with ExitStack() as stack:
            if self._tool.starts_apps:
                process = self._tool.start(self._udid, {"MOBILEDET_TOKEN": token, "MOBILEDET_PORT": str(PORT)})
                stack.callback(_stop, self._tool, self._udid, process)
            # in its own session, so that Ctrl-C at the terminal does not cut the connection before the sessions are
            # closed
            forwarder = subprocess.Popen(
                forward, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            stack.callback(_end, forwarder)
            self._agent = self._connect(port, token, mode, forwarder)
            stack.callback(self._agent.close)
            self._release = weakref.finalize(self, stack.pop_all().close)

    def info(self) -> DeviceInfo:
        return dataclasses.replace(self._agent.info(), name=self.name)

    def state(self) -> DeviceState:
        return self._agent.state()

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> AgentSession:
        """See ``Device.load``."""
        return self._agent.load(bundle, file, accelerator, threads)

    def close(self) -> None:
        self._release()

    def _token_of_the_app(self, token: str) -> str:
        try:
            return given_token(token)
        except UserError as error:
            raise UserError(
                f"{self._tool.name} does not start the app: open it on {self.name}, and give the token that its "
                "evaluation screen shows with --token"
            ) from error

    def _connect(self, port: int, token: str, mode: InputMode, forwarder: "subprocess.Popen[bytes]") -> AgentDevice:
        try:
            return await_agent(f"http://127.0.0.1:{port}", token, mode, lambda: forwarder.poll() is None)
        except AgentRefusal:
            raise
        except UserError as error:
            word = self._tool.log(self._udid)
            hint = f"its log ends with: {word}" if word else "open it, and keep it in the foreground"
            raise UserError(f"the app on {self.name} does not answer; {hint}") from error


def _choose(tool: Tool, wanted: str) -> ListedPhone:
    """The phone to use.

    Raises:
        UserError: it is not connected or cannot be used, or there are several to choose from.
    """
    listed = {phone.udid: phone for phone in tool.devices()}
    if not listed:
        raise UserError(f"{tool.name} sees no iPhone: connect one, unlock it and let it trust this computer")
    if not wanted and len(listed) > 1:
        choices = ", ".join(f"ios:{phone.udid} ({phone.model})" for phone in listed.values())
        raise UserError(f"several iPhones are connected: choose one of {choices}")
    phone = listed.get(wanted) if wanted else next(iter(listed.values()))
    if phone is None:
        seen = ", ".join(f"ios:{udid}" for udid in listed)
        raise UserError(f"ios:{wanted} is not connected; {tool.name} sees {seen}")
    if phone.problem:
        raise UserError(f"ios:{phone.udid} {phone.problem}")
    return phone


def _stop(tool: Tool, udid: str, process: str) -> None:
    with suppress(UserError):
        tool.stop(udid, process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
