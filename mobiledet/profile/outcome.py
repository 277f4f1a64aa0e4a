"""The results of the experiments behind the guidelines."""

from dataclasses import dataclass

from mobiledet.evaluation.latency import LatencyStats


@dataclass(frozen=True)
class Measured:
    """One network of an experiment.

    Attributes:
        label: description of the network.
        macs, memory_access: its counted costs.
        latency: its latency on this device.
        paper: images per second on ARM in the paper.
    """

    label: str
    macs: int
    memory_access: int
    latency: LatencyStats
    paper: float


@dataclass(frozen=True)
class Outcome:
    """The result of an experiment.

    Attributes:
        guideline, title, question: as in the experiment.
        variants: networks, from the one that the guideline recommends to the one that it advises against most.
        ratio: time of the last network over that of the first.
        paper_ratio: the same in the paper, on ARM.
        verdict: ``holds``, ``makes no difference`` or ``is reversed``.
        steady: whether all medians are precise enough; otherwise the machine was busy.
    """

    guideline: str
    title: str
    question: str
    variants: tuple[Measured, ...]
    ratio: float
    paper_ratio: float
    verdict: str
    steady: bool

    @property
    def sentence(self) -> str:
        """The outcome as a sentence."""
        first, last = self.variants[0].label, self.variants[-1].label
        return (
            f"{self.guideline} ({self.title}) {self.verdict} here: '{last}' takes {self.ratio:.2f} times as long as "
            f"'{first}'; in the paper, on ARM, {self.paper_ratio:.2f} times."
            + ("" if self.steady else " The machine was busy: repeat this when it is quiet.")
        )
