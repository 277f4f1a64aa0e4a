"""Options of the commands arm-setup and arm-check. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class ArmSetupConfig:
    """Fetch what runs bundles on emulated ARM processors: `mobiledet evaluate --device arm`, `mobiledet arm-check`.

    QEMU's emulator of programs and a Python for ARM come from Debian, the runtime and what else the agent imports from
    the package index, in the versions that are installed here. About 140 MB are downloaded, and 190 MB stay, all in
    mobiledet/arm of the cache folder ($MOBILEDET_CACHE, else ~/.cache/mobiledet); nothing else on the machine changes,
    and no rights are needed. It takes apt-get, dpkg and pip (or uv): Debian, or a container of it. Where it was
    interrupted, the same command goes on.

    With containers at hand, or on a real board, apps/linux-arm/README.md says how to serve an agent there instead.

    For example:
      mobiledet arm-setup
      mobiledet evaluate x.mobiledet --data /data/coco --limit 200 --device arm
      mobiledet arm-check x.mobiledet
    """

    renew: bool = False
    """Fetch everything again, although what is there fits."""


@dataclass(frozen=True)
class ArmCheckConfig:
    """Run the golden cases of a bundle's .tflite files on emulated ARM processors, and compare with this machine.

    The runtime (XNNPACK) takes other kernels by what a processor can do, and integers may be rounded otherwise in them.
    So each file runs on three cores:
      cortex-a53  no dot product, no half floats: low-cost and older phones
      cortex-a76  dot product and half floats: most phones since 2019
      max         8-bit matrix products (i8mm) besides: phones since 2022
    The table shows the largest differences to the outputs here: of boxes in pixels of the model's input, of scores,
    and how many detections have no partner. The exit status is 3 when a file is outside of its own tolerance on a core.
    `mobiledet arm-setup` comes first.

    For example:
      mobiledet arm-check x.mobiledet
      mobiledet arm-check x.mobiledet --file int8 --core cortex-a53 max
      mobiledet arm-check x.mobiledet --write
    """

    bundle: Positional[Path]
    """A bundle with .tflite files: a folder NAME.mobiledet or a zip of it."""
    file: tuple[str, ...] = ()
    """Model files or precisions; by default every .tflite file."""
    core: tuple[str, ...] = ()
    """Cores to emulate; by default all three."""
    write: bool = False
    """Put what was found into the bundle: `kernels` of each file in bundle.json. The bundle's checksum changes."""
    json: bool = False
    """Print the findings as JSON instead of a table."""
