"""How the tests run, wherever they are started."""

import signal

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C reach the tests and what they start, even where pytest runs in the background of a shell without job
    control, which has its children ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the trainings first: a long file at the end would leave the other process without work."""
    items.sort(key=lambda item: "training" not in item.path.parts)
