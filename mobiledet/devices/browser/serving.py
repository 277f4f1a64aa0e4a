"""Serves the page in this process, for phones or for browsers on this machine."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mobiledet.devices.browser.address import lan_address, qr_code
from mobiledet.devices.browser.android import open_on_phone, reversed_port
from mobiledet.devices.browser.broker import Broker
from mobiledet.devices.browser.server import BrokerServer
from mobiledet.devices.browser.site import page_folder
from mobiledet.errors import UserError

LOOPBACK, EVERY_NETWORK = "127.0.0.1", "0.0.0.0"
THIS_MACHINE = "localhost"


@dataclass(frozen=True)
class ServedPage:
    """A page that is being served.

    Attributes:
        url: address at which hosts reach the agent in it.
        invitation: instructions for the user: which address to open where.
    """

    url: str
    invitation: str


@contextmanager
def serve_page(
    where: str,
    broker: Broker,
    token: str,
    port: int = 0,
    bundle: Path | None = None,
    names: Collection[str] = (),
) -> Iterator[ServedPage]:
    """Serve the page while the block runs.

    Args:
        where: empty for any phone in this network; ``localhost`` for a browser on this machine; else the serial number
            of an Android phone, whose localhost is forwarded to here, so that the page can use threads there.
        broker: the broker between the page and hosts.
        token: token of both.
        port: port to listen on; 0 chooses a free one.
        bundle: folder of a bundle that the page offers.
        names: see ``GuardedServer``.

    Raises:
        UserError: the page cannot be served, or the phone is not connected.
    """
    site = page_folder()
    host = LOOPBACK if where else EVERY_NETWORK
    try:
        server = BrokerServer((host, port), site, broker, token, bundle, names)
    except OSError as error:
        raise UserError(f"cannot serve the page on port {port}: {error.strerror or error}") from error
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port = server.server_address[1]
            with _invitation(where, port, token) as invitation:
                yield ServedPage(f"http://{LOOPBACK}:{port}", invitation)
        finally:
            server.shutdown()


@contextmanager
def _invitation(where: str, port: int, token: str) -> Iterator[str]:
    """The instructions for the user, while the block runs."""
    if where == THIS_MACHINE:
        yield f"page: open http://localhost:{port}/#{token} in a browser of this machine"
    elif where:
        with reversed_port(where, port) as (phone, its_port):
            url = f"http://localhost:{its_port}/#{token}"
            opened = open_on_phone(phone, url)
            yield f"page: {'opening' if opened else 'open'} {url} on {phone.name}"
    else:
        yield _invitation_to_network(port, token)


def _invitation_to_network(port: int, token: str) -> str:
    url = f"http://{lan_address()}:{port}/#{token}"
    lines = [
        f"page: open {url} on a phone in this network",
        "warning: the traffic is not encrypted: others who can read it in this network see the token, and with it the",
        "  bundle with its golden images, which are from your data set, and all evaluated images. Without",
        "  the token, clients get only the empty page. The page has one thread there,",
        f"  and all cores at http://localhost:{port}/#{token} on this machine or with --device browser:SERIAL",
    ]
    code = qr_code(url)
    return "\n".join([*lines, code] if code else lines)
