"""Options of the profile command. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProfileConfig:
    """Show what a network costs and where its time goes, and hold it against ShuffleNet V2's four guidelines.

    Parameters, multiply-adds and memory access are counted layer by layer; the time is measured operation by operation
    in LiteRT, on this machine and on the float32 file that export would write (with random weights, which change no
    time). Printed as tables and written as JSON and a picture.

    With --guidelines the paper's four controlled experiments (tables 1 to 4) are repeated instead, as small TFLite
    networks of equal multiply-adds: do the guidelines hold on this device?

    For example:
      mobiledet profile --backbone shufflenet_v2_1x
      mobiledet profile --backbone ghostnet_1x --detector ssdlite --input-size 320 --threads 2
      mobiledet profile --backbone torchvision:resnet50 --no-measure
      mobiledet profile --guidelines
    """

    backbone: str = ""
    """A key of `mobiledet list`, or torchvision:NAME; alone it is profiled as its paper's classifier, 1000 classes."""
    detector: str = ""
    """Profile a detector with this backbone instead: the network, and in the measured file its post-processing."""
    input_size: int = 0
    """Side of the square input in pixels, at least 32; by default 224, for a detector 320."""
    threads: int = 1
    """Threads of the processor in the measurement."""
    measure: bool = True
    """Convert the network to TFLite and measure its time; without it only what can be counted is told."""
    guidelines: bool = False
    """Repeat the four experiments behind the guidelines instead of profiling a network."""
    rounds: int = 100
    """Timed runs of each network of the experiments; in every round each network runs once."""
    out: Path | None = None
    """Folder for the JSON file and the picture; by default results/profile-NAME."""
