"""Options that commands share for running on a device. Imports nothing heavy, so that their help appears at once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from mobiledet.errors import UserError

MAX_CPUS = 64
# image: the device decodes and resizes the image; tensor: this machine does, so that only the runtime can differ
InputMode = Literal["image", "tensor"]


@dataclass(frozen=True)
class PhoneOptions:
    """How a phone is prepared for a measurement; every setting is restored afterwards."""

    app: Annotated[Path | None, arg(aliases=["--apk"])] = None
    """App to install before the measurement, replacing an installed one: an .apk, or on iOS an .ipa or .app."""
    fixed_performance: bool = False
    """Fix the clock rates at a level that does not throttle, where Android 11 or newer supports it. Different runs
    become comparable, but slower than the phone's best."""
    cpus: str = ""
    """CPU cores to run on, such as 4-7 or 0,2 (Android only); by default the system chooses."""

    def cpu_mask(self) -> str:
        """The cores as a hexadecimal mask for taskset; empty if the system chooses.

        Raises:
            UserError: ``cpus`` is not a list of cores.
        """
        mask = 0
        for part in self.cpus.split(",") if self.cpus else ():
            match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part.strip())
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not first <= last < MAX_CPUS:
                raise UserError(f"--cpus {self.cpus!r} is not a list of cores; write them like 4-7 or 0,2")
            mask |= (1 << last + 1) - (1 << first)
        return f"{mask:x}" if mask else ""


ANY_PHONE = PhoneOptions()
