"""The broker, with a page that is a few lines of Python: it shows what the broker does when a page comes and goes."""

import base64
import gzip
import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mobiledet.devices.agent.connection import AgentConnection, AgentRefusal
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.devices.browser.broker import Broker, Part
from mobiledet.devices.browser.server import BrokerServer

TOKEN = "a-token-for-these-tests"


@pytest.fixture
def broker() -> Broker:
    return Broker(silent_seconds=0.6)


@pytest.fixture
def url(broker: Broker, tmp_path: Path) -> Iterator[str]:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "secret").write_text("not for anybody")
    (site / "index.html").write_text("the page<script>inline()</script>")
    (site / "runtime.wasm").write_bytes(b"wasm" * 1000)
    (site / "runtime.wasm.gz").write_bytes(gzip.compress(b"wasm" * 1000))
    (site / "both.wasm").write_bytes(b"wasm" * 1000)
    for name in ("both.wasm.gz", "both.wasm.br"):
        (site / name).write_bytes(name.encode())
    bundle = tmp_path / "x.mobiledet"
    (bundle / "golden").mkdir(parents=True)
    (bundle / "golden" / "0.rgb").write_text("a picture of the user")
    with BrokerServer(("127.0.0.1", 0), site, broker, TOKEN, bundle) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Asking(threading.Thread):
    """A host that asks in a thread."""

    def __init__(self, url: str, method: str = "POST", path: str = "/v1/sessions", body: bytes = b"body") -> None:
        super().__init__()
        self.connection = AgentConnection(url, TOKEN)
        self.arguments = (method, path, body)
        self.answer: bytes = b""
        self.problem: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.connection.exchange(*self.arguments).content
        except Exception as error:
            self.problem = error

    def end(self) -> bytes:
        self.join(10)
        assert not self.is_alive()
        return self.answer


def test_request_and_reply(broker: Broker, url: str) -> None:
    assert broker.next("page", 0, 0) is None
    host = Asking(url)
    request = broker.next("page", 0, 5)
    assert request
    assert (request.method, request.path, request.body) == ("POST", "/v1/sessions", b"body")
    broker.reply("page", request.number, 0, Part(201, "application/json", b"{}"))
    assert host.end() == b"{}"


def test_reply_in_parts_of_which_some_come_twice(broker: Broker, url: str) -> None:
    broker.next("page", 0, 0)
    host = Asking(url)
    request = broker.next("page", 0, 5)
    assert request
    parts = [Part(200, "application/x-ndjson", b"one\n", more=True), Part(200, "application/x-ndjson", b"two\n")]
    for index in (0, 0, 1):
        broker.reply("page", request.number, index, parts[index])
    assert host.end() == b"one\ntwo\n"
    broker.reply("page", request.number, 1, parts[1])  # nobody waits for it any more


def test_requests_come_in_order_and_several_at_a_time(broker: Broker, url: str) -> None:
    broker.next("page", 0, 0)
    hosts = []
    for index in range(3):
        hosts.append(Asking(url, body=b"%d" % index))
        while len(broker._pending) <= index:
            time.sleep(0.01)
    taken = []
    for _ in hosts:
        request = broker.next("page", taken[-1].number if taken else 0, 5)
        assert request
        taken.append(request)
    assert [request.body for request in taken] == [b"0", b"1", b"2"]
    for request in reversed(taken):
        broker.reply("page", request.number, 0, Part(200, "text/plain", request.body))
    assert [host.end() for host in hosts] == [b"0", b"1", b"2"]


def test_request_whose_delivery_was_lost_is_delivered_again(broker: Broker, url: str) -> None:
    broker.next("page", 0, 0)
    host = Asking(url)
    first, again = broker.next("page", 0, 5), broker.next("page", 0, 5)
    assert first is again
    assert first
    assert broker.next("page", first.number, 0) is None
    broker.reply("page", first.number, 0, Part(200, "text/plain", b"done"))
    assert host.end() == b"done"


def test_page_that_is_loaded_again_in_the_middle_of_a_reply(broker: Broker, url: str) -> None:
    """The host sees a connection that broke, and asks again; it never gets halves of two replies as one."""
    broker.next("page", 0, 0)
    host = Asking(url)
    request = broker.next("page", 0, 5)
    assert request
    broker.reply("page", request.number, 0, Part(200, "application/x-ndjson", b"one\n", more=True))
    assert broker.next("page", 0, 0) is None
    broker.reply("page", request.number, 1, Part(200, "application/x-ndjson", b"of another\n"))
    host.end()
    assert isinstance(host.problem, http.client.HTTPException | ConnectionError)


def test_without_a_page_there_is_no_device(broker: Broker, url: str) -> None:
    with pytest.raises(AgentRefusal, match="no page has asked") as refused:
        AgentConnection(url, TOKEN).request("GET", "/v1/info", retries=())
    assert refused.value.code == "no_device"


def test_page_that_falls_silent(broker: Broker, url: str) -> None:
    broker.next("page", 0, 0)
    host = Asking(url)
    assert b"no_device" in host.end()


def test_second_page_waits_until_the_first_has_gone(broker: Broker) -> None:
    broker.next("first", 0, 0)
    with pytest.raises(Refusal, match="another page is the device"):
        broker.next("second", 0, 0)
    broker.next("first", 0, 0)
    time.sleep(0.7)
    broker.next("second", 0, 0)
    with pytest.raises(Refusal, match="another page is the device"):
        broker.reply("first", 1, 0, Part(200, "text/plain", b""))


def test_host_that_goes_leaves_no_request(broker: Broker, url: str) -> None:
    broker.next("page", 0, 0)
    host = Asking(url)
    assert broker.next("page", 0, 5)
    sock = host.connection._connection.sock
    assert sock
    sock.shutdown(2)
    deadline = time.monotonic() + 5
    while broker._pending and time.monotonic() < deadline:
        broker.next("page", 1, 0)
        time.sleep(0.05)
    assert not broker._pending


def _get(url: str, path: str, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    found = response.status, response.read(), dict(response.headers)
    connection.close()
    return found


def test_page_is_isolated_so_that_it_has_threads(url: str) -> None:
    status, content, headers = _get(url, "/", {})
    assert (status, content) == (200, b"the page<script>inline()</script>")
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert _get(url, "/index.html", {"If-None-Match": headers["ETag"]})[0] == 304


def test_what_is_packed_goes_to_who_can_unpack_it(url: str) -> None:
    whole = _get(url, "/runtime.wasm", {})
    assert (whole[0], whole[1], whole[2]["Vary"]) == (200, b"wasm" * 1000, "Accept-Encoding")
    assert "Content-Encoding" not in whole[2]
    for asked in ("gzip", "br, gzip;q=0.5", "deflate, gzip"):
        status, content, headers = _get(url, "/runtime.wasm", {"Accept-Encoding": asked})
        assert (status, gzip.decompress(content)) == (200, whole[1])
        assert (headers["Content-Encoding"], headers["Content-Type"]) == ("gzip", "application/wasm")
        assert int(headers["Content-Length"]) == len(content) < 100
        assert headers["ETag"] != whole[2]["ETag"]
    for asked in ("br", "gzip;q=0", "gzip;q=0.000", ""):
        assert _get(url, "/runtime.wasm", {"Accept-Encoding": asked})[1] == whole[1]


def test_the_smaller_of_two_goes_to_who_can_unpack_both(url: str) -> None:
    """What is in the files does not matter here; tests of the page load the real ones."""
    for asked, coding in [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("br", "br")]:
        _, content, headers = _get(url, "/both.wasm", {"Accept-Encoding": asked})
        assert content == {"br": b"both.wasm.br", "gzip": b"both.wasm.gz"}[coding]
        assert (headers["Content-Encoding"], headers["Vary"]) == (coding, "Accept-Encoding")


@pytest.mark.parametrize("path", ["/bundle/golden/0.rgb", "//bundle/golden/0.rgb", "/bundle%2fgolden/0.rgb"])
def test_pictures_of_the_bundle_need_the_token(url: str, path: str) -> None:
    assert _get(url, path, {})[0] == 401
    assert _get(url, path, {"Authorization": "Bearer another-token-than-that"})[0] == 401
    status, content, headers = _get(url, path, {"Authorization": f"Bearer {TOKEN}"})
    assert (status, content) == (200, b"a picture of the user")
    assert headers["Cache-Control"] == "private, no-store"
    rebound = {"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}
    assert _get(url, path, rebound)[0] == 421


def test_the_page_is_served_under_our_names_alone_and_runs_its_own_scripts_alone(url: str) -> None:
    assert _get(url, "/", {"Host": "evil.example"})[0] == 421
    headers = _get(url, "/", {})[2]
    policy = headers["Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(b"inline()").digest()).decode()
    assert f"script-src 'self' 'wasm-unsafe-eval' blob: 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//etc/passwd", "/v1/broker/next"])
def test_nothing_else_is_served_without_the_token(url: str, path: str) -> None:
    assert _get(url, path, {})[0] == 401


@pytest.mark.parametrize("path", ["/v1/broker/next?page=p&after=x", "/v1/broker/next?page=p&wait=31"])
def test_odd_questions_of_a_page(url: str, path: str) -> None:
    assert _get(url, path, {"Authorization": f"Bearer {TOKEN}"})[0] == 400
