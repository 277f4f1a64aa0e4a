"""The command ``mobiledet agent-check``: checks whether an agent follows the protocol."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.bundle import open_bundle
from mobiledet.devices.agent.checks import CHECKS
from mobiledet.devices.agent.client import AgentDevice
from mobiledet.devices.agent.config import AgentCheckConfig
from mobiledet.devices.agent.subject import Broken, Subject
from mobiledet.devices.agent.token import given_token
from mobiledet.files.leftovers import scratch_folder


def run(config: AgentCheckConfig) -> int:
    """The command ``mobiledet agent-check``; returns 1 if a check fails."""
    token = given_token(config.token)
    bundle = open_bundle(config.bundle)
    file = bundle.choose(config.file)
    AgentDevice(config.url, token)  # a missing agent or a wrong token is an error, not a failed check
    failures = {}
    with scratch_folder("check") as folder:
        subject = Subject(config.url, token, bundle, file, folder)
        for check in CHECKS:
            try:
                check(subject)
            except Broken as broken:
                failures[check] = str(broken)
    table = Table("check", "", "reason")
    for check in CHECKS:
        verdict = "fail" if check in failures else "pass"
        table.add_row(check.__name__.replace("_", " "), verdict, escape(failures.get(check, "")))
    Console().print(table)
    print(f"{len(CHECKS) - len(failures)} of {len(CHECKS)} checks pass: {config.url}")
    return 1 if failures else 0
