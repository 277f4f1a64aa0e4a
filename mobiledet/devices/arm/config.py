"""Options of the commands arm-setup and arm-check. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class ArmSetupConfig:
    """Download what is needed to run bundles on emulated ARM processors.

    Needed by `mobiledet evaluate --device arm` and `mobiledet arm-check`. QEMU's user-mode emulator and a Python for
    ARM come from Debian; the runtime and the other packages that the agent imports come from the Python package index,
    in the versions that are installed here. About 140 MB are downloaded and 190 MB are kept, all in the folder
    mobiledet/arm of the cache ($MOBILEDET_CACHE, else ~/.cache/mobiledet). Nothing else on the machine changes, and no
    root access is needed. Requires apt-get, dpkg and pip (or uv), that is, Debian or a container of it. If the command
    was interrupted, run it again to continue.

    With containers, or on a real board, an agent can be served instead: see apps/linux-arm/README.md.

    For example:
      mobiledet arm-setup
      mobiledet evaluate x.mobiledet --data /data/coco --limit 200 --device arm
      mobiledet arm-check x.mobiledet
    """

    renew: bool = False
    """Download everything again, even if the existing files are up to date."""


@dataclass(frozen=True)
class ArmCheckConfig:
    """Run the golden cases of a bundle's .tflite files on emulated ARM processors, and compare with this machine.

    The runtime (XNNPACK) chooses its kernels by the instructions that a processor has, and they may round integers
    differently. So each file runs on three cores:
      cortex-a53  no dot product, no half-precision floats: low-cost and older phones
      cortex-a76  dot product and half-precision floats: most phones since 2019
      max         also 8-bit matrix multiplication (i8mm): phones since 2022
    The table shows the largest differences from the outputs on this machine: of boxes (in pixels of the model's input),
    of scores, and the number of unmatched detections. The exit status is 3 if a file exceeds its own tolerance on any
    core. Run `mobiledet arm-setup` first.

    For example:
      mobiledet arm-check x.mobiledet
      mobiledet arm-check x.mobiledet --file int8 --core cortex-a53 max
      mobiledet arm-check x.mobiledet --write
    """

    bundle: Positional[Path]
    """Bundle with .tflite files: a folder NAME.mobiledet or a zip of it."""
    file: tuple[str, ...] = ()
    """Model files or precisions to run; by default every .tflite file."""
    core: tuple[str, ...] = ()
    """Cores to emulate; by default all three."""
    write: bool = False
    """Store the results in the bundle, as `kernels` of each file in bundle.json. This changes the bundle's checksum."""
    json: bool = False
    """Print the results as JSON instead of a table."""
