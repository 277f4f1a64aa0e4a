"""Options of devices. Imports nothing heavy, so that help appears at once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from mobiledet.errors import UserError

MOST_CPUS = 64
# image: the device decodes and resizes the file; tensor: this machine does, which leaves the runtime's error alone
InputMode = Literal["image", "tensor"]


@dataclass(frozen=True)
class PhoneOptions:
    """What is done on a phone before it measures; all of it is put back afterwards."""

    app: Annotated[Path | None, arg(aliases=["--apk"])] = None
    """The app to install first, in place of the one that is there: an .apk, or on iOS an .ipa or .app."""
    fixed_performance: bool = False
    """Hold the clocks at a level that does not throttle, where Android 11 or newer supports it: figures of different
    runs become comparable, and lower than the phone's best."""
    cpus: str = ""
    """Cores to run on, such as 4-7 or 0,2 (Android); by default the system chooses."""

    def cpu_mask(self) -> str:
        """The cores as a hexadecimal mask, as taskset takes it; empty where the system chooses.

        Raises:
            UserError: ``cpus`` is no list of cores.
        """
        mask = 0
        for part in self.cpus.split(",") if self.cpus else ():
            match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last < MOST_CPUS:
                raise UserError(f"--cpus {self.cpus!r} is no list of cores; write them like 4-7 or 0,2")
            mask |= (1 << last + 1) - (1 << first)
        return f"{mask:x}" if mask else ""


ANY_PHONE = PhoneOptions()
