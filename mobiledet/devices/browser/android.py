"""Opens the page on an Android phone by cable, through the phone's localhost, which browsers treat as secure."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mobiledet.devices.adb.client import Phone, choose_serial, find_adb
from mobiledet.errors import UserError


@contextmanager
def reversed_port(serial: str, port: int) -> Iterator[tuple[Phone, str]]:
    """Forward a port of the phone's localhost to ``port`` here while the block runs; yields the phone and its port.

    Raises:
        UserError: the phone is not connected.
    """
    adb = find_adb()
    phone = Phone(adb, choose_serial(adb, serial))
    its_port = phone.call("reverse", "tcp:0", f"tcp:{port}")
    try:
        yield phone, its_port
    finally:
        with suppress(UserError):  # it may have been unplugged
            phone.run("reverse", "--remove", f"tcp:{its_port}")


def open_on_phone(phone: Phone, url: str) -> bool:
    """Open an address in the phone's browser; returns whether that worked."""
    # as a script, because the address contains the token
    command = f"am start -a android.intent.action.VIEW -d '{url}' </dev/null 2>&1"
    answer = phone.script(command)
    return answer.status == 0 and "Error" not in answer.output
