"""Options of the profile command. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProfileConfig:
    """Show what a network costs and where its time goes, and hold it against ShuffleNet V2's four guidelines.

    Parameters, multiply-adds and memory access are counted layer by layer; the time is measured operation by operation
    in LiteRT, on this machine and on the float32 file that export would write (with random weights, which change no
    time). Printed as tables and written as JSON and a picture.

    With --all networks of every family are exported and timed on a device instead, and the table of their latencies is
    what `mobiledet plan` chooses by; the exports are kept in the cache, so that a second device takes minutes.

    With --guidelines the paper's four controlled experiments (tables 1 to 4) are repeated instead, as small TFLite
    networks of equal multiply-adds: do the guidelines hold on this device?

    For example:
      mobiledet profile --backbone shufflenet_v2_1x
      mobiledet profile --backbone ghostnet_1x --detector ssdlite --input-size 320 --threads 2
      mobiledet profile --backbone torchvision:resnet50 --no-measure
      mobiledet profile --all --device adb --threads 4
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
    all: bool = False
    """Measure networks of every family with several detectors and sizes, float16 and int8, for `mobiledet plan`. An
    hour on this kind of machine the first time; what was interrupted goes on where it was. Each file is measured in
    five rounds; its latency is the time that a tenth of its runs stay below, in the fastest round. Ends with 3 where a
    network had to be left out."""
    device: str = "local"
    """With --all: where to measure, as in `mobiledet evaluate`."""
    token: str = ""
    """Of an agent; by default MOBILEDET_AGENT_TOKEN of the environment."""
    guidelines: bool = False
    """Repeat the four experiments behind the guidelines instead of profiling a network."""
    rounds: int = 100
    """Timed runs of each network of the experiments; in every round each network runs once."""
    out: Path | None = None
    """Folder for the JSON file and the picture; by default results/profile-NAME. With --all the file of the table, by
    default in the cache, where `mobiledet plan` finds it."""
