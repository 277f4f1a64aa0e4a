"""Axes of charts: range, scale and ticks at round numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_FROM_RATIO = 8


@dataclass(frozen=True)
class Axis:
    """A range of numbers on a line.

    Attributes:
        low, high: lower and upper end.
        log: whether the axis is logarithmic.
        ticks: round numbers in the range.
    """

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """The position of a value, 0 at ``low`` and 1 at ``high``."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    @classmethod
    def for_latency(cls, values: Sequence[float]) -> "Axis":
        """An axis for positive values, with some margin; logarithmic if the largest is 8 times the smallest."""
        smallest, largest = min(values), max(values)
        if largest > LOG_FROM_RATIO * smallest:
            low, high = smallest / 1.25, largest * 1.25
            decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            steps = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
            return cls(low, high, True, tuple(step for step in steps if low <= step <= high))
        margin = (largest - smallest) * 0.15 or largest * 0.15
        return cls.linear(max(0.0, smallest - margin), largest + margin)

    @classmethod
    def for_precision(cls, values: Sequence[float]) -> "Axis":
        """An axis for values in 0..1, with some margin."""
        smallest, largest = min(values), max(values)
        margin = max(0.05, (largest - smallest) * 0.15)
        return cls.linear(max(0.0, smallest - margin), min(1.0, largest + margin))

    @classmethod
    def linear(cls, low: float, high: float) -> "Axis":
        """A linear axis from ``low`` to ``high`` (which is greater), with about five tick intervals."""
        rough = (high - low) / 5
        scale = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * scale for factor in (1, 2, 5, 10) if factor * scale >= rough)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return cls(low, high, False, tuple(round(index * step, 10) for index in range(first, last + 1)))
