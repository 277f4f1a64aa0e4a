"""The result of a lint rule."""

from dataclasses import dataclass
from typing import Literal

from mobiledet_converters.lint.graph import Operation

# broken: a runtime refuses the file or part of it; slow: it runs, but more slowly than it could; note: as designed, or
# a consequence of the chosen precision
Level = Literal["broken", "slow", "note"]
LEVELS: tuple[Level, ...] = ("note", "slow", "broken")
MAX_PLACES = 3  # that a finding names


@dataclass(frozen=True)
class Finding:
    """One problem of a file.

    Attributes:
        rule: name of the rule.
        level: severity.
        on: where it matters: ``every runtime``, ``CPU (XNNPACK)``, ``GPU``, ``NPU``.
        found: description of the problem, with numbers.
        where: a few places in the network.
        cost: consequence of the problem.
        remedy: what to do about it.
    """

    rule: str
    level: Level
    on: str
    found: str
    where: tuple[str, ...]
    cost: str
    remedy: str


def places(operations: list[Operation]) -> tuple[str, ...]:
    """The places of a few operations in the network, each with its kind and its number in the file."""
    named = [f"{o.place or 'no module'} ({o.kind} #{o.index})" for o in operations[:MAX_PLACES]]
    more = len(operations) - len(named)
    return (*named, f"and {more} more") if more > 0 else tuple(named)


def by_kind(operations: list[Operation]) -> str:
    """Counts of operations by kind, such as ``3 TOPK_V2, 1 CAST``."""
    kinds = [o.kind for o in operations]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
