"""A page in the browser of a phone by cable. The double of adbd knows no `adb reverse`, so the real one is needed."""

import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.browser.device import BrowserDevice

pytestmark = pytest.mark.skipif(
    not {"MOBILEDET_ADBD_ROOT", "MOBILEDET_WEB_SITE"} <= os.environ.keys(), reason="needs the real adbd: make test-adbd"
)


def test_page_opens_on_the_phone_and_has_threads(
    plug_in: Callable[..., Any],
    adb: str,
    open_page: Callable[[str], AbstractContextManager[None]],
    patch_bundle: Bundle,
    patch_data: Path,
) -> None:
    """Chromium on this machine takes the place of the phone's, behind the port of the phone."""
    phone = plug_in()
    done = threading.Event()

    def look() -> None:
        while not phone.double.read("view"):
            assert not done.wait(0.1)
        with open_page(phone.double.read("view")):
            done.wait(120)

    person = threading.Thread(target=look)
    person.start()
    try:
        device = BrowserDevice(phone.serial, patience_seconds=60)
        assert phone.double.read("view").startswith("http://localhost:")
        assert device.info().name == f"browser:{phone.serial}"
        assert device.info().cores == os.cpu_count()
        images = sorted((patch_data / "val2017").glob("*.jpg"))
        file = patch_bundle.select()
        session = device.load(patch_bundle, file)
        session.golden()
        for a, b in zip(
            open_device("local").load(patch_bundle, file).detect(images), session.detect(images), strict=True
        ):
            np.testing.assert_allclose(b.detections.boxes_xyxy, a.detections.boxes_xyxy, atol=1e-4)
            np.testing.assert_allclose(b.detections.scores, a.detections.scores, atol=1e-4)
        device.close()
    finally:
        done.set()
        person.join(30)
    left = subprocess.run([adb, "-s", phone.serial, "reverse", "--list"], capture_output=True, text=True).stdout
    assert not left.strip()
