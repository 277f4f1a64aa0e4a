"""The budget of a network, parsed from text."""

import math
import re
from dataclasses import dataclass

from mobiledet.errors import UserError

UNITS = {"us": ("ms", 1e-3), "ms": ("ms", 1.0), "s": ("ms", 1e3), "kb": ("bytes", 1e3), "mb": ("bytes", 1e6)}
AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """Upper limits; infinite if not given.

    Attributes:
        ms: latency of the model file in milliseconds.
        bytes: size of the model file.
    """

    ms: float = math.inf
    bytes: float = math.inf


def parse_budget(text: str) -> Budget:
    """Parse a budget such as ``8 ms, 1.5 MB`` (1 MB is 1,000,000 bytes).

    Raises:
        UserError: the text is not a budget.
    """
    limits: dict[str, float] = {}
    for part in text.split(","):
        match = AMOUNT.fullmatch(part.strip())
        name, factor = UNITS.get(match[2].lower(), ("", 0.0)) if match else ("", 0.0)
        amount = float(match[1]) * factor if match else 0.0
        if not match or not name or name in limits or not 0 < amount < math.inf:
            raise UserError(
                f'--budget "{text}" is not a time or a size; give for example "8 ms, 1.5 MB", "8 ms" or "500 kB"'
            )
        limits[name] = amount
    return Budget(**limits)
