"""Devices that can run a bundle. Does not import torch; the module of a device is imported when it is opened."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mobiledet.errors import UserError, unknown_name

if TYPE_CHECKING:
    from mobiledet.devices.base import Device
    from mobiledet.devices.options import InputMode, PhoneOptions


def _local(address: str, token: str, mode: "InputMode", phone: "PhoneOptions") -> "Device":
    from mobiledet.devices.local import LocalDevice

    if mode != "image":
        raise UserError("--mode tensor needs an agent, such as --device http://HOST:PORT: here both modes are the same")
    return LocalDevice()


def _agent(address: str, token: str, mode: "InputMode", phone: "PhoneOptions") -> "Device":
    from mobiledet.devices.agent.client import AgentDevice

    return AgentDevice(address, token, mode)


def _adb(address: str, token: str, mode: "InputMode", phone: "PhoneOptions") -> "Device":
    from mobiledet.devices.adb.device import AdbDevice

    return AdbDevice(address, mode, phone)


def _browser(address: str, token: str, mode: "InputMode", phone: "PhoneOptions") -> "Device":
    from mobiledet.devices.browser.device import BrowserDevice

    return BrowserDevice(address.partition(":")[2], token, mode)


def _ios(address: str, token: str, mode: "InputMode", phone: "PhoneOptions") -> "Device":
    from mobiledet.devices.ios.device import IosDevice

    return IosDevice(address, token, mode, phone)


def _arm(address: str, token: str, mode: "InputMode", phone: "PhoneOptions") -> "Device":
    from mobiledet.devices.arm.device import ArmDevice

    return ArmDevice(address, mode)


Opener = Callable[[str, str, "InputMode", "PhoneOptions"], "Device"]
# the part of --device before a colon -> function that opens the device at the address
DEVICES: dict[str, Opener] = {
    "local": _local,
    "http": _agent,
    "adb": _adb,
    "ios": _ios,
    "browser": _browser,
    "arm": _arm,
}
ADDRESSES = (
    "local",
    "http://HOST:PORT",
    "adb:SERIAL",
    "ios:UDID",
    "browser",
    "browser:localhost",
    "browser:SERIAL",
    "arm",
    "arm:CORE",
)
PHONES = ("adb", "ios")


def open_device(
    address: str, token: str = "", mode: "InputMode" = "image", phone: "PhoneOptions | None" = None
) -> "Device":
    """Open the device at an address. Close it after use.

    Args:
        address: an address of a form in ``ADDRESSES``.
        token: token of the agent there; by default the environment variable MOBILEDET_AGENT_TOKEN.
        mode: what the device is given, encoded images or prepared tensors.
        phone: preparation of a phone; None changes nothing on it.

    Raises:
        UserError: the kind of device is unknown, or the device cannot be reached.
    """
    from mobiledet.devices.options import ANY_PHONE

    phone = phone or ANY_PHONE
    kind, colon, _ = address.partition(":")
    if kind not in DEVICES or (colon and kind == "local"):
        raise unknown_name("device", address, ADDRESSES)
    if phone != ANY_PHONE and kind not in PHONES:
        raise UserError(
            f"--app, --fixed-performance and --cpus are for phones ({', '.join(PHONES)}), not for {address}"
        )
    return DEVICES[kind](address, token, mode, phone)
