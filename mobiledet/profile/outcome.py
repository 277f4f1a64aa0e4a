"""What came of the experiments behind the guidelines."""

from dataclasses import dataclass

from mobiledet.evaluation.latency import LatencyStats


@dataclass(frozen=True)
class Measured:
    """One network of an experiment.

    Attributes:
        label: what it is.
        macs, memory_access: what it costs.
        latency: on this device.
        paper: images per second on ARM in the paper.
    """

    label: str
    macs: int
    memory_access: int
    latency: LatencyStats
    paper: float


@dataclass(frozen=True)
class Outcome:
    """What came of an experiment.

    Attributes:
        guideline, title, question: of the experiment.
        variants: as in the experiment: first what the guideline recommends, last what it advises against most.
        ratio: time of the last over that of the first.
        paper_ratio: the same in the paper, on ARM.
        verdict: ``holds``, ``makes no difference`` or ``is reversed``.
        steady: whether all medians are known well; else the machine was busy with other things.
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
        """The outcome in words."""
        first, last = self.variants[0].label, self.variants[-1].label
        return (
            f"{self.guideline} ({self.title}) {self.verdict} here: '{last}' takes {self.ratio:.2f} times as long as "
            f"'{first}'; in the paper, on ARM, {self.paper_ratio:.2f} times."
            + ("" if self.steady else " The machine was busy: repeat this when it is quiet.")
        )
