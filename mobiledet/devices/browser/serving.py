"""The page served in this process, where a phone or a browser of this machine finds it."""

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
        url: where hosts reach the agent in it.
        invitation: for a person: what to open where.
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
    """Serve the page for as long as the block lasts.

    Args:
        where: empty for any phone in this network; ``localhost`` for a browser of this machine; else the serial number
            of an Android phone, whose own localhost leads here, so that the page has threads there.
        broker: between the page and hosts.
        token: of both.
        port: to listen on; 0 takes a free one.
        bundle: folder of a bundle that the page offers to people.
        names: see ``GuardedServer``.

    Raises:
        UserError: it cannot be served, or the phone is not there.
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
    """What a person is to open where."""
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
        "warning: the traffic is not encrypted: who can listen in this network sees the token, with it the bundle with",
        "  its golden pictures, which are pictures of your data set, and every picture that is evaluated; without the",
        "  token strangers get the empty page alone. The page has one thread there,",
        f"  and all cores over http://localhost:{port}/#{token} on this machine or with --device browser:SERIAL",
    ]
    code = qr_code(url)
    return "\n".join([*lines, code] if code else lines)
