"""Where a bundle can be run. No torch; each device is loaded when it is opened."""

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
# what --device starts with, up to a colon -> how to open the address
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
    """The device at an address, one of ``ADDRESSES``. Close it when it is not needed any more.

    Args:
        address: where.
        token: of the agent there; by default that of the environment variable MOBILEDET_AGENT_TOKEN.
        mode: what the device is given.
        phone: what is done on a phone before it measures; None is nothing.

    Raises:
        UserError: there is no such kind of device, or it cannot be reached.
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
