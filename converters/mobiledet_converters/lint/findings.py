"""What a rule says of a file."""

from dataclasses import dataclass
from typing import Literal

from mobiledet_converters.lint.graph import Operation

# broken: a runtime refuses the file or part of it; slow: it runs, but costs time that can be saved; note: as designed,
# or a matter of the precision that was chosen
Level = Literal["broken", "slow", "note"]
LEVELS: tuple[Level, ...] = ("note", "slow", "broken")
MOST_PLACES = 3  # that a finding names


@dataclass(frozen=True)
class Finding:
    """One thing that holds a file up.

    Attributes:
        rule: name of the rule.
        level: how much it matters.
        on: what it concerns: ``every runtime``, ``CPU (XNNPACK)``, ``GPU``, ``NPU``.
        found: what was found, with numbers.
        where: places in the network, a few of them.
        cost: what it costs.
        remedy: what to do.
    """

    rule: str
    level: Level
    on: str
    found: str
    where: tuple[str, ...]
    cost: str
    remedy: str


def places(operations: list[Operation]) -> tuple[str, ...]:
    """Where a few of the operations stand in the network, each with its kind and its number in the file."""
    named = [f"{o.place or 'no module'} ({o.kind} #{o.index})" for o in operations[:MOST_PLACES]]
    more = len(operations) - len(named)
    return (*named, f"and {more} more") if more > 0 else tuple(named)


def by_kind(operations: list[Operation]) -> str:
    """Such as ``3 TOPK_V2, 1 CAST``."""
    kinds = [o.kind for o in operations]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
