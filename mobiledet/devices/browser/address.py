"""The address of the page for phones, and its QR code."""

import io
import socket

PROBE = ("192.0.2.1", 9)  # reserved for documentation: nothing is sent there, but the system chooses a route to it


def lan_address() -> str:
    """This machine's address in its network; the loopback address if it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(PROBE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def qr_code(url: str) -> str:
    """The address as a QR code of block characters, two rows a line; empty if the package segno is not installed."""
    try:
        import segno
    except ModuleNotFoundError:
        return ""
    text = io.StringIO()
    segno.make(url, micro=False).terminal(text, compact=True, border=2)
    return text.getvalue()
