"""Where a bundle can be run. No torch."""

from collections.abc import Callable

from mobiledet.devices.base import Device
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import unknown_name

# what --device may be -> the device
DEVICES: dict[str, Callable[[], Device]] = {"local": LocalDevice}


def open_device(address: str) -> Device:
    """The device at an address such as ``local``.

    Raises:
        UserError: there is no such kind of device.
    """
    if address not in DEVICES:
        raise unknown_name("device", address, DEVICES)
    return DEVICES[address]()
