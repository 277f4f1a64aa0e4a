import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from mobiledet.devices.browser.broker import Broker
from mobiledet.devices.browser.server import BrokerServer
from mobiledet.devices.browser.site import page_folder

TOKEN = "a-token-for-these-tests"


@pytest.fixture(scope="session")
def site(real_program: Callable[[str, str], str]) -> Path:
    """The built page; npm is asked for its packages at the first time."""
    real_program("npm", "npm")
    return page_folder()


@pytest.fixture(scope="session")
def serve_site(site: Path) -> Callable[..., AbstractContextManager[tuple[str, Broker]]]:
    """Serves the page in this process, ``(bundle folder)``; gives the address without token, and the broker."""

    @contextmanager
    def serving(bundle: Path | None = None, silent_seconds: float = 40) -> Iterator[tuple[str, Broker]]:
        broker = Broker(silent_seconds)
        with BrokerServer(("127.0.0.1", 0), site, broker, TOKEN, bundle) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_address[1]}", broker
            finally:
                server.shutdown()
                thread.join()

    return serving


@pytest.fixture(scope="session")
def browser_agent(
    serve_site: Callable[..., AbstractContextManager[tuple[str, Broker]]],
    open_page: Callable[[str], AbstractContextManager[None]],
) -> Iterator[SimpleNamespace]:
    """A page in Chromium that many tests speak to, by ``url`` and ``token``."""
    with serve_site() as (url, broker), open_page(f"{url.replace('127.0.0.1', 'localhost')}/#{TOKEN}"):
        assert broker.wait_for_page(60), "Chromium did not open the page"
        yield SimpleNamespace(url=url, token=TOKEN)
