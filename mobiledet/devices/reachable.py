"""The command ``mobiledet devices``: lists reachable devices, and what is missing to use them."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.devices.adb import app
from mobiledet.devices.adb.client import Phone, find_adb, list_devices
from mobiledet.devices.agent.connection import AgentConnection, AgentRefusal
from mobiledet.devices.agent.messages import PROTOCOL, AgentInfo, from_bytes
from mobiledet.devices.agent.token import TOKEN_VARIABLE
from mobiledet.devices.arm.cores import CORES
from mobiledet.devices.arm.setup_folder import find_setup
from mobiledet.devices.browser.site import page_problem
from mobiledet.devices.config import DevicesConfig
from mobiledet.devices.ios.tools import find_tool
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError

AGENT_SECONDS = 5.0
NO_TOKEN = "no-token-was-given"


@dataclass(frozen=True)
class Reachable:
    """One device, or a kind of device of which none was found.

    Attributes:
        address: its address for ``--device``.
        model: its model; empty if unknown.
        system: its operating system; empty if unknown.
        ready: whether it can be used now.
        note: its runtime, or what to do before it can be used.
    """

    address: str
    model: str
    system: str
    ready: bool
    note: str


def run(config: DevicesConfig) -> None:
    """The command ``mobiledet devices``."""
    rows = list(reachable(config.agents, config.token))
    if config.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("device", "model", "system", "state"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        colour = "green" if row.ready else "yellow"
        table.add_row(escape(row.address), escape(row.model), escape(row.system), f"[{colour}]{escape(row.note)}[/]")
    Console().print(table)


def reachable(agents: Iterable[str] = (), token: str = "") -> Iterator[Reachable]:
    """All devices that can be reached now.

    Args:
        agents: addresses of agents to try.
        token: token of the agents.
    """
    local = LocalDevice().info()
    note = f"ready: {local.runtime} {local.runtime_version}, {local.cores} cores"
    yield Reachable("local", local.model, local.os, True, note)
    yield from _list_or_problem("adb:SERIAL", _android)
    yield from _list_or_problem("ios:UDID", _ios)
    yield _browser()
    yield from _list_or_problem("arm", _arm)
    for address in agents:
        yield _agent(address, token)


def _browser() -> Reachable:
    """Browsers that open the page of ``mobiledet web``."""
    problem = page_problem()
    note = problem or "ready: prints an address for any phone in this network, browser:SERIAL opens it by cable"
    return Reachable("browser", "", "", not problem, note)


def _arm() -> Iterator[Reachable]:
    """Emulated ARM processors."""
    setup = find_setup()
    note = f"ready: {', '.join(core.address for core in CORES.values())}; mAP and golden cases, no latency"
    yield Reachable("arm", f"emulated by {setup.about.emulator}", "", True, note)


def _list_or_problem(address: str, look: Callable[[], Iterator[Reachable]]) -> Iterator[Reachable]:
    """The devices that ``look`` finds, or an entry with the error message."""
    try:
        found = list(look())
    except UserError as error:
        found = [Reachable(address, "", "", False, str(error))]
    yield from found


def _android() -> Iterator[Reachable]:
    adb = find_adb()
    devices = list_devices(adb)
    if not devices:
        note = "none: connect an Android phone and enable USB debugging in its developer options"
        yield Reachable("adb:SERIAL", "", "", False, note)
    for device in devices:
        phone = Phone(adb, device.serial)
        if device.problem:
            yield Reachable(phone.name, device.model, "", False, device.problem)
            continue
        try:
            release = phone.shell("getprop", "ro.build.version.release").output.strip()
            installed = app.is_installed(phone)
        except UserError as error:
            yield Reachable(phone.name, device.model, "", False, str(error))
            continue
        system = f"Android {release}" if release else ""
        note = (
            "ready: the app is installed"
            if installed
            else "the app is not installed: give its file with --app FILE.apk"
        )
        yield Reachable(phone.name, device.model, system, installed, note)


def _ios() -> Iterator[Reachable]:
    tool = find_tool()
    devices = tool.devices()
    if not devices:
        note = f"none: {tool.name} sees no iPhone; connect one and let it trust this computer"
        yield Reachable("ios:UDID", "", "", False, note)
    for device in devices:
        note = device.problem or f"found by {tool.name}"
        yield Reachable(f"ios:{device.udid}", device.model, device.system, not device.problem, note)


def _agent(address: str, token: str) -> Reachable:
    try:
        connection = AgentConnection(address, token or os.environ.get(TOKEN_VARIABLE, NO_TOKEN))
        with closing(connection):
            content = connection.request("GET", "/v1/info", seconds=AGENT_SECONDS, retries=()).content
        info: AgentInfo = from_bytes(AgentInfo, content)
    except AgentRefusal as refusal:
        note = str(refusal)
        if refusal.code == "unauthorized":
            note = f"an agent answers: give the token that it prints with --token or {TOKEN_VARIABLE}"
        return Reachable(address, "", "", False, note)
    except (UserError, ValueError) as error:
        note = str(error) if isinstance(error, UserError) else "the answer is not from an agent of this release"
        return Reachable(address, "", "", False, note)
    device = info.device
    note = f"ready: {info.agent}, {device.runtime} {device.runtime_version}, {', '.join(info.accelerators)}"
    return Reachable(address, device.model, device.os, info.protocol == PROTOCOL, note)
