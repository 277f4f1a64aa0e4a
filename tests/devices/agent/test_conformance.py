"""``mobiledet agent-check`` against the agent of this package, and against agents that are broken on purpose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.devices.agent.checks import CHECKS, Subject
from mobiledet.devices.agent.service import Agent
from mobiledet.devices.base import GoldenReport


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_agent_keeps_to_the_protocol(
    check: Callable[[Subject], None], agent: Any, patch_bundle: Bundle, tmp_path: Path
) -> None:
    check(Subject(agent.url, agent.token, patch_bundle, patch_bundle.select(), tmp_path))
    assert not list(agent.cache.parent.rglob("escaped"))
    assert not list(agent.cache.glob(".*.tmp"))


def _check(url: str, token: str, bundle: Bundle) -> int:
    return cli.main(["agent-check", url, "--token", token, "--bundle", str(bundle.path)])


def test_command_passes_the_agent(agent: Any, patch_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert _check(agent.url, agent.token, patch_bundle) == 0
    assert f"{len(CHECKS)} of {len(CHECKS)} checks pass: {agent.url}" in capsys.readouterr().out


class Careless(Agent):
    """Takes any golden outputs for right, and any plan."""

    def golden(self, identity: str) -> GoldenReport:
        self._sessions.get(identity).trusted = True
        return GoldenReport(cases=2, detections=4, lowest_iou=1, largest_score_difference=0)


def test_command_fails_a_careless_agent(
    serve: Any,
    patch_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with serve(Careless, tmp_path) as (url, token):
        assert _check(url, token, patch_bundle) == 1
    printed = capsys.readouterr().out
    failed = [line for line in printed.splitlines() if "fail " in line and "pass" not in line]
    assert "wrong outputs fail the golden gate" in failed[0]
    assert "a wrong answer to an encoded picture fails the golden gate" in failed[1]
    assert len(failed) == sum("answers 200, not 409 golden_failed" in line for line in failed) == 2
