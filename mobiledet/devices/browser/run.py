"""The command ``mobiledet web``: serves the page for browsers, or writes it as static files."""

import shutil
import signal
import threading
from contextlib import suppress
from pathlib import Path

from mobiledet.bundle import Bundle, copy_bundle, open_bundle
from mobiledet.devices.agent.token import own_token
from mobiledet.devices.browser.broker import Broker
from mobiledet.devices.browser.config import WebConfig
from mobiledet.devices.browser.serving import THIS_MACHINE, serve_page
from mobiledet.devices.browser.site import page_folder
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_folder


def run(config: WebConfig) -> None:
    """The command ``mobiledet web``."""
    if not 0 <= config.port < 1 << 16:
        raise UserError(f"--port {config.port} must be in 0..65535")
    bundle = open_bundle(config.bundle) if config.bundle else None
    if bundle:
        bundle.select()  # a browser runs .tflite files
    if config.out:
        write_site(config.out, bundle, config.overwrite)
        print(f"page: {config.out}; put it on a web server that speaks https, or look at it from this machine with")
        print(f"  python -m http.server --directory {config.out}")
        return
    token = own_token(config.token_file)
    where = THIS_MACHINE if config.local else ""
    with serve_page(where, Broker(), token, config.port, bundle.root if bundle else None, config.name) as page:
        print(page.invitation)
        print(f"agent: {page.url}, while the page is open", f"token: {token}", sep="\n", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        print("page: stopping", flush=True)


def write_site(out: Path, bundle: Bundle | None, overwrite: bool = False) -> None:
    """Write the page as static files, with the .tflite files of a bundle, completely or not at all.

    Raises:
        UserError: ``out`` exists and ``overwrite`` is false, or it cannot be written.
    """
    site = page_folder()
    with atomic_folder(out, overwrite) as folder:
        shutil.copytree(site, folder, dirs_exist_ok=True)
        if bundle:
            copy_bundle(bundle, folder / "bundle", [file for file in bundle.files if file.format == "tflite"])
