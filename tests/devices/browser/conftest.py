import functools
import http.server
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mobiledet.bundle import Bundle
from mobiledet.devices.browser.broker import Broker
from mobiledet.devices.browser.server import BrokerServer
from mobiledet.devices.browser.site import page_folder

TOKEN = "a-token-for-these-tests"
SECONDS = 60
FINDINGS = """
const done = arguments[arguments.length - 1];
axe.run(document).then(({ violations }) => done(violations.map(({ id, help, nodes }) =>
  `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`)), (error) => done([String(error)]));
"""


CALL = """
const [work, done] = [arguments[0], arguments[arguments.length - 1]];
const run = new Function("library", `return (async () => {${work}})()`);
import("./node_modules/@mobiledet/web/dist/index.js").then(run)
  .then((value) => done(value), (error) => done(`refused: ${error.message}`));
"""


class Page:
    """A page under a person's hands."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, width: int = 1200) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 2, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get("about:blank")  # an address that differs behind # alone would not load anew
        self.driver.get(url)

    def part(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def wait(self, ready: Callable[[], Any]) -> None:
        end = time.monotonic() + SECONDS
        while not ready():
            assert time.monotonic() < end, f"still: {self.driver.find_element('css selector', 'main, body').text}"
            time.sleep(0.05)

    def wait_for_model(self) -> None:
        self.wait(self.part("picture").is_enabled)

    def show(self, picture: Path) -> None:
        self.part("picture").send_keys(str(picture))
        self.wait(lambda: self.part("caption").text.startswith(picture.name))

    def errors(self) -> list[str]:
        """What the browser's console has got since it was asked last: errors and warnings."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    @property
    def found(self) -> list[str]:
        listed = "return [...document.querySelectorAll('#found li')].map((item) => item.textContent)"
        return self.driver.execute_script(listed)


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


@pytest.fixture(scope="session")
def open_chromium(real_program: Callable[[str, str], str]) -> Callable[..., AbstractContextManager[Page]]:
    """Starts a Chromium whose page a test controls, with more flags, ``(*flags)``; gives a ``Page``."""
    selenium = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    @contextmanager
    def opened(*more: str, gpu: bool = False) -> Iterator[Page]:
        options = selenium.ChromeOptions()
        options.binary_location = real_program("chromium", "chromium")
        flags = ["headless", "no-sandbox", "disable-background-networking", "disable-dev-shm-usage", *more]
        # a page that was left must not keep its connection to the broker: a browser has six of them
        flags.append("disable-features=BackForwardCache")
        if not gpu:
            flags.append("disable-gpu")
        for flag in flags:
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = selenium.Chrome(options=options, service=Service(real_program("chromedriver", "chromium-driver")))
        try:
            yield Page(driver)
        finally:
            driver.quit()

    return opened


@pytest.fixture(scope="session")
def serve_folder() -> Callable[[Path], AbstractContextManager[str]]:
    """Serves a folder as any web server does, until the block ends; gives its address."""

    @contextmanager
    def serving(folder: Path) -> Iterator[str]:
        handler = functools.partial(_Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            yield f"http://localhost:{server.server_port}"
            server.shutdown()

    return serving


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def web_sources(
    project_root: Path, npm_install: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of apps/web in which packages are built."""
    root = tmp_path_factory.mktemp("sources")
    web = root / "apps" / "web"
    shutil.copytree(project_root / "apps" / "web", web, ignore=shutil.ignore_patterns("node_modules", "dist", "site"))
    shutil.copy(project_root / "LICENSE", root)
    (web / "node_modules").symlink_to(npm_install(project_root / "apps" / "web"))
    return web


@pytest.fixture(scope="session")
def app(web_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package @mobiledet/web as npm would install it; ``packed_app`` shows that it does."""
    folder = tmp_path_factory.mktemp("app")
    package = folder / "node_modules" / "@mobiledet" / "web"
    package.mkdir(parents=True)
    for name in ("package.json", "index.d.ts", "camera.d.ts", "README.md"):
        shutil.copy(web_sources / name, package)
    subprocess.run(["node", "build.mjs", "--package", str(package / "dist")], cwd=web_sources, check=True)
    return folder


@pytest.fixture(scope="session")
def packed(web_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The archive that npm would publish, and what npm says of it."""
    folder = tmp_path_factory.mktemp("packed")
    command = ["npm", "pack", "--json", "--pack-destination", str(folder)]
    done = subprocess.run(command, cwd=web_sources, capture_output=True, text=True, check=True)
    (said,) = json.loads(done.stdout[done.stdout.index("[\n") :])
    (archive,) = folder.glob("*.tgz")
    return archive, said


@pytest.fixture(scope="session")
def packed_app(packed: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder in which the archive was installed; without a network, because it needs no other package."""
    folder = tmp_path_factory.mktemp("packed-app")
    command = ["npm", "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", str(packed[0])]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def calling(
    app: Path, patch_bundle: Bundle, serve_folder: Callable[[Path], AbstractContextManager[str]]
) -> Callable[[Page], AbstractContextManager[Callable[[str], Any]]]:
    """Runs JavaScript in a page with the package, called ``library``; what it throws begins with ``refused:``."""
    shutil.copytree(patch_bundle.root, app / "patch.mobiledet", dirs_exist_ok=True)
    shutil.make_archive(str(app / "patch.mobiledet"), "zip", app, "patch.mobiledet")
    (app / "empty.html").write_text("<!doctype html><html lang=en><title>x</title><main></main>")

    @contextmanager
    def opened(page: Page) -> Iterator[Callable[[str], Any]]:
        with serve_folder(app) as url:
            page.open(f"{url}/empty.html")
            page.driver.set_script_timeout(SECONDS)
            yield lambda work: page.driver.execute_async_script(CALL, work)

    return opened


@pytest.fixture(scope="session")
def axe_findings(project_root: Path, npm_install: Callable[[Path], Path]) -> Callable[[Page], list[str]]:
    """What the rules of axe-core find in a page as it is now, in each scheme of colours."""
    source = (npm_install(project_root / "apps" / "web" / "testing") / "axe-core" / "axe.min.js").read_text()

    def find(page: Page) -> list[str]:
        page.driver.set_script_timeout(SECONDS)
        found = []
        for scheme in ("light", "dark"):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            page.driver.execute_script(f"if (!window.axe) {{ {source} }}")
            found += [f"{scheme}: {text}" for text in page.driver.execute_async_script(FINDINGS)]
        return found

    return find
