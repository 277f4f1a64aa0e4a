"""``mobiledet sweep``: runs each step in a process of its own, so that one that fails or dies affects no other."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.devices.agent.token import TOKEN_VARIABLE
from mobiledet.errors import UserError
from mobiledet.evaluation.report import write_report
from mobiledet.evaluation.result import read_result
from mobiledet.files.locks import locked_folder
from mobiledet.processes.child import child_command
from mobiledet.sweep.config import SweepConfig
from mobiledet.sweep.journal import Journal
from mobiledet.sweep.plan import Step, plan
from mobiledet_converters.config import EXIT_INCOMPLETE

ERROR = "error: "


def run(config: SweepConfig) -> int:
    """The command ``mobiledet sweep``; returns 1 when a step failed."""
    steps = plan(config)
    console = Console()
    if config.dry_run:
        _print_plan(console, steps, Journal(config.out / "sweep.json"))
        return 0
    with locked_folder(config.out, "sweeping"):
        return _sweep(config, steps, Journal(config.out / "sweep.json"), console)


def _sweep(config: SweepConfig, steps: Sequence[Step], journal: Journal, console: Console) -> int:
    try:
        (config.out / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write {config.out}: {(error.strerror or str(error)).lower()}") from error
    failures: dict[str, str] = {}
    for number, step in enumerate(steps, start=1):
        console.print(f"{number}/{len(steps)} {escape(step.name)} ", end="", highlight=False)
        if journal.is_done(step):
            console.print("already done", highlight=False, style="dim")
            continue
        missing = next((name for name in step.needs if name in failures), "")
        if missing:
            failures[step.name] = f"{missing} failed"
            console.print(f"left out: {escape(failures[step.name])}", highlight=False, style="yellow")
            continue
        started = time.monotonic()
        reason = _execute(step, config)
        seconds = time.monotonic() - started
        journal.record(step, reason, seconds)
        if reason:
            failures[step.name] = reason
        text = f"failed: {escape(reason)}" if reason else f"done in {seconds:.0f} s"
        console.print(text, highlight=False, style="red" if reason else "green", soft_wrap=True)
    _report(console, config.out, steps, journal, failures)
    return 1 if failures else 0


def _execute(step: Step, config: SweepConfig) -> str:
    """Run a step with its output in its log. Returns why it failed, or an empty string if it succeeded."""
    arguments = step.arguments
    if step.kind == "train" and (step.output.parent / "config.json").exists():
        arguments = ("train", "--resume", str(step.output.parent))
    log = config.out / "logs" / f"{step.name}.log"
    environment = {**os.environ, **({TOKEN_VARIABLE: config.token} if config.token else {})}
    with log.open("wb") as output:
        # SIGTERM and SIGINT let a training save a checkpoint first
        command = child_command("mobiledet.cli", *arguments, at_death=signal.SIGTERM)
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            status = process.wait(60 * config.timeout_minutes or None)
        except subprocess.TimeoutExpired:
            _stop(process)
            return f"it took longer than {config.timeout_minutes:g} minutes"
        except KeyboardInterrupt:
            _stop(process)
            raise
    # an incomplete export counts as done; the evaluations of the missing files will fail and say so
    is_done = status == 0 or (step.kind == "export" and status == EXIT_INCOMPLETE)
    if is_done and step.output.exists():
        return ""
    return _reason(log, status)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _reason(log: Path, status: int) -> str:
    """The error line of a log, or else its last line with the exit status or signal of the process."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if errors:
        return errors[-1]
    end = f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"{end}: {lines[-1]}" if lines else end


def _report(console: Console, out: Path, steps: Sequence[Step], journal: Journal, failures: dict[str, str]) -> None:
    """Write the report on all results of this sweep."""
    made = [step for step in steps if step.kind == "evaluate" and journal.is_done(step)]
    console.print(f"{len(made)} results in {out / 'results'}, {len(failures)} steps failed", highlight=False)
    if made:
        page = out / "report.html"
        write_report([read_result(step.output) for step in made], page, title="Sweep", failures=failures)
        console.print(f"report: {page}", highlight=False, soft_wrap=True)


def _print_plan(console: Console, steps: Sequence[Step], journal: Journal) -> None:
    table = Table("step", "", "command")
    for step in steps:
        state = "done" if journal.is_done(step) else "to do"
        table.add_row(escape(step.name), state, escape(f"mobiledet {' '.join(step.arguments)}"))
    console.print(table)
