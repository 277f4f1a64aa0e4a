"""Options of the command web. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class WebConfig:
    """Run a bundle in the browser of any phone, on images and on the camera, to try it out.

    Without --out the page is served from this machine while the command runs; its address and a QR code are printed.
    The page also works as an agent: `mobiledet evaluate` and `mobiledet agent-check` reach it at the address that is
    printed for hosts. With --out the page and the bundle are written as static files for any web server; images then
    never leave the phone.

    The page is built once with Node.js, which downloads LiteRT.js from npm. After that, nothing is loaded from other
    servers.

    For example:
      mobiledet web x.mobiledet
      mobiledet web x.mobiledet --out site
    """

    bundle: Annotated[Path | None, Positional, arg(metavar="BUNDLE")] = None
    """Bundle to run, a folder NAME.mobiledet or a zip of it; without one the page lets the user choose a zip file."""
    out: Path | None = None
    """Write the page into this folder instead of serving it."""
    overwrite: bool = False
    """Replace the folder --out if it exists."""
    local: bool = False
    """Serve the page only to browsers on this machine, where it may use several threads and the camera."""
    port: int = 0
    """Port to serve the page on; 0 chooses a free one."""
    name: tuple[str, ...] = ()
    """Host names that browsers may use for this machine, in addition to its addresses, its own name and localhost."""
    token_file: Path | None = None
    """File that contains the token; by default the environment variable MOBILEDET_AGENT_TOKEN, else a new token is
    generated at each start."""
