"""Trials that an enemy, a full disk or a kill would make; ``make test-hostile`` makes all of them and prints how many.

A trial holds when the program does what it should or says in one line why not (``UserError``): no traceback, no hang,
no orphan, nothing left behind. By default each kind makes a few; MOBILEDET_HOSTILE=1 makes all.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from mobiledet.errors import UserError

KINDS: Counter[str] = Counter()
REFUSED: Counter[str] = Counter()


class Trials:
    """Counts the trials of a kind.

    Attributes:
        kind: in the table at the end.
        rng: seeded by the kind: the same trials in every run.
    """

    def __init__(self, kind: str, whole: bool) -> None:
        self.kind = kind
        self.whole = whole
        self.rng = random.Random(kind)

    def count(self, few: int, many: int) -> int:
        """How many to make."""
        return many if self.whole else few

    def held(self, refused: bool = False) -> None:
        """One more that held."""
        KINDS[self.kind] += 1
        REFUSED[self.kind] += refused

    def attempt(self, function: Callable[[], object], seconds: float = 20) -> bool:
        """Call a function that may refuse; returns whether it did not.

        Raises:
            AssertionError: it refuses in more than one line, or takes too long. Any other exception goes through.
        """
        started = time.monotonic()
        refused = False
        try:
            function()
        except UserError as error:
            refused = True
            shown = str(error)
            assert shown
            assert shown.isprintable(), f"more than one line, or a control of the terminal: {shown!r}"
            assert len(shown) < 3000, f"a line of {len(shown)} characters: {shown[:200]!r}"
        assert time.monotonic() - started < seconds, f"took {time.monotonic() - started:.0f} s"
        self.held(refused)
        return not refused


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Trials:
    """Of the kind that the test's name says."""
    return Trials(request.node.originalname.removeprefix("test_"), os.environ.get("MOBILEDET_HOSTILE") == "1")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not KINDS:
        return
    terminalreporter.section("hostile trials that held")
    for kind, count in sorted(KINDS.items()):
        terminalreporter.write_line(f"{count:6}  {kind.replace('_', ' ')} ({REFUSED[kind]} refused)")
    terminalreporter.write_line(f"{sum(KINDS.values()):6}  in all")
