"""Options of the command web. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg


@dataclass(frozen=True)
class WebConfig:
    """Run a bundle in a browser: on pictures and the camera, for people to try, on any phone.

    Without --out the page is served from here for as long as the command runs; it prints an address and a QR code. The
    page is an agent as well: `mobiledet evaluate` and `mobiledet agent-check` reach it at the address that is printed
    for hosts. With --out the page and the bundle are written as static files for any web server; pictures never leave
    the phone.

    The page is built once with Node.js, which fetches LiteRT.js from npm; nothing is loaded from elsewhere later on.

    For example:
      mobiledet web x.mobiledet
      mobiledet web x.mobiledet --out site
    """

    bundle: Annotated[Path | None, Positional, arg(metavar="BUNDLE")] = None
    """The bundle to offer, a folder NAME.mobiledet or a zip of it; without one the page asks for a zip."""
    out: Path | None = None
    """Write the page into this folder instead of serving it."""
    overwrite: bool = False
    """Replace the folder --out."""
    local: bool = False
    """Serve it to browsers of this machine alone, where it has all threads and the camera."""
    port: int = 0
    """Port to serve it on; 0 takes a free one."""
    name: tuple[str, ...] = ()
    """More names that browsers may call this machine by, besides its addresses, its own name and localhost."""
    token_file: Path | None = None
    """File with the token; by default MOBILEDET_AGENT_TOKEN of the environment, else a new one at each start."""
