"""Options of the profile command. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProfileConfig:
    """Show what a network costs and where its time goes, and check it against ShuffleNet V2's four guidelines.

    Parameters, multiply-adds and memory access are counted layer by layer. Time is measured operation by operation in
    LiteRT on this machine, with the float32 file that export would write; its random weights do not change the timing.
    The results are printed as tables and written as JSON and a chart.

    With --all, networks of every family are exported and timed on a device instead. The resulting table of latencies is
    used by `mobiledet plan`. The exported files are kept in the cache, so that a second device takes only minutes.

    With --guidelines, the paper's four controlled experiments (tables 1 to 4) are repeated instead, with small TFLite
    networks of equal multiply-adds, to show whether the guidelines hold on this device.

    For example:
      mobiledet profile --backbone shufflenet_v2_1x
      mobiledet profile --backbone ghostnet_1x --detector ssdlite --input-size 320 --threads 2
      mobiledet profile --backbone torchvision:resnet50 --no-measure
      mobiledet profile --all --device adb --threads 4
      mobiledet profile --guidelines
    """

    backbone: str = ""
    """Backbone to profile: a name from `mobiledet list`, or torchvision:NAME. Without --detector it is profiled as the
    classifier of its paper, with 1000 classes."""
    detector: str = ""
    """Profile this detector with the backbone: the network, and in the measured file also its post-processing."""
    input_size: int = 0
    """Side of the square input in pixels, at least 32; by default 224, for a detector 320."""
    threads: int = 1
    """Number of CPU threads for the measurement."""
    measure: bool = True
    """Convert the network to TFLite and measure its time. Without it, only the counted costs are shown."""
    all: bool = False
    """Measure networks of every family with several detectors and input sizes, in float16 and int8, for `mobiledet
    plan`. The first run takes about an hour; an interrupted run continues where it stopped. Each file is measured in
    five rounds; its latency is the 10th percentile of its runs in the fastest round. The exit status is 3 if a network
    had to be left out."""
    device: str = "local"
    """Device to measure on with --all, named as in `mobiledet evaluate`."""
    token: str = ""
    """Token of an agent; by default the environment variable MOBILEDET_AGENT_TOKEN."""
    guidelines: bool = False
    """Repeat the four experiments behind the guidelines instead of profiling a network."""
    rounds: int = 100
    """Number of timed rounds of the experiments; in every round each network runs once."""
    out: Path | None = None
    """Folder for the JSON file and the chart; by default results/profile-NAME. With --all, the file for the table; by
    default it is in the cache, where `mobiledet plan` looks for it."""
