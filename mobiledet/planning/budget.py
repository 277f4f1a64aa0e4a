"""What a network may cost, from the words of a person."""

import math
import re
from dataclasses import dataclass

from mobiledet.errors import UserError

UNITS = {"us": ("ms", 1e-3), "ms": ("ms", 1.0), "s": ("ms", 1e3), "kb": ("bytes", 1e3), "mb": ("bytes", 1e6)}
AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """The most that is allowed; infinite where nothing is said.

    Attributes:
        ms: latency of the model file.
        bytes: its size.
    """

    ms: float = math.inf
    bytes: float = math.inf


def parse_budget(text: str) -> Budget:
    """A budget such as ``8 ms, 1.5 MB`` (1 MB is 1,000,000 bytes).

    Raises:
        UserError: it is none.
    """
    limits: dict[str, float] = {}
    for part in text.split(","):
        match = AMOUNT.fullmatch(part.strip())
        name, factor = UNITS.get(match[2].lower(), ("", 0.0)) if match else ("", 0.0)
        amount = float(match[1]) * factor if match else 0.0
        if not match or not name or name in limits or not 0 < amount < math.inf:
            raise UserError(
                f'--budget "{text}" is no time and no size; give such as "8 ms, 1.5 MB", "8 ms" or "500 kB"'
            )
        limits[name] = amount
    return Budget(**limits)
