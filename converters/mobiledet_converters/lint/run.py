"""The command ``mobiledet lint``: checks the .tflite and .aimodel files of a bundle, a single file, or a checkpoint."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.bundle import open_bundle
from mobiledet.devices.partitions import Partitions, divide
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file
from mobiledet_converters.config import LintConfig
from mobiledet_converters.coreai.read import read_in_process
from mobiledet_converters.job import ConversionJob
from mobiledet_converters.lint.analyzer import run_analyzer
from mobiledet_converters.lint.asset_rules import check_asset
from mobiledet_converters.lint.findings import LEVELS, Finding
from mobiledet_converters.lint.graph import FileGraph
from mobiledet_converters.lint.rules import check_file
from mobiledet_converters.process import Conversion, require_converter

FILE_SUFFIX, ASSET_SUFFIX = ".tflite", ".aimodel"
FORMATS = ("tflite", "coreai")
CHECKPOINT_SUFFIX = ".ckpt"
COLOURS = {"broken": "red", "slow": "yellow", "note": "dim"}


@dataclass(frozen=True)
class FileReport:
    """The findings on one file.

    Attributes:
        file: its name.
        operations: number of operations.
        partitions: number of partitions that XNNPACK runs; None for a file that LiteRT does not run.
        delegated_share: fraction of the operations that XNNPACK runs, 0..1; None likewise.
        findings: findings of all rules.
    """

    file: str
    operations: int
    partitions: int | None
    delegated_share: float | None
    findings: tuple[Finding, ...]


def run(config: LintConfig) -> int:
    """The command ``mobiledet lint``; returns its exit status."""
    console = Console()
    with _files(config, console) as files:
        reports = [lint_file(path, config.analyzer) for path in files]
    for report in reports:
        _print(report, console)
    if config.json:
        with atomic_file(config.json) as temporary:
            temporary.write_text(json.dumps(to_json(config.path, reports), indent=2), encoding="utf-8")
        console.print(f"written: {config.json}", highlight=False, soft_wrap=True)
    if config.fail_on == "never":
        return 0
    severe = LEVELS[LEVELS.index(config.fail_on) :]
    return int(any(finding.level in severe for report in reports for finding in report.findings))


def lint_file(path: Path, analyzer: bool = False) -> FileReport:
    """Check one .tflite file or .aimodel asset.

    Args:
        path: the file.
        analyzer: whether to run TensorFlow's analyser, too, on a .tflite file.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix == ASSET_SUFFIX:
        asset = read_in_process(path)
        return FileReport(path.name, len(asset.operations), None, None, tuple(check_asset(asset)))
    graph = FileGraph(path)
    findings: list[Finding] = []
    try:
        partitions = divide(path)
    except UserError as error:
        partitions = Partitions((), ())
        findings.append(_refused(str(error)))
    findings += check_file(graph, partitions) + ([run_analyzer(graph)] if analyzer else [])
    return FileReport(
        path.name, len(graph.operations), len(partitions.delegated), partitions.delegated_share, tuple(findings)
    )


def _refused(reason: str) -> Finding:
    return Finding(
        "does not load", "broken", "every runtime", reason, (), "no runtime runs it", "fix the other findings"
    )


def to_json(source: Path, reports: list[FileReport]) -> dict[str, Any]:
    """The findings as JSON values."""
    return {"kind": "mobiledet lint", "source": str(source), "files": [asdict(report) for report in reports]}


@contextmanager
def _files(config: LintConfig, console: Console) -> Iterator[list[Path]]:
    """The files to check; files that are converted from a checkpoint are removed at the end."""
    path = config.path
    if not path.exists():
        raise UserError(f"{path} does not exist; give a bundle, a .tflite or .aimodel file or a checkpoint")
    if path.suffix in (FILE_SUFFIX, ASSET_SUFFIX):
        yield [path]
    elif path.suffix == CHECKPOINT_SUFFIX:
        require_converter("tflite")
        with tempfile.TemporaryDirectory() as name:
            job = ConversionJob(path.absolute(), Path(name), ("float32",), {})
            with console.status("converting") as status, Conversion("tflite", job) as conversion:
                while conversion.running:
                    conversion.wait(0.2)
                    status.update(conversion.step)
                answer = conversion.answer()
            yield [Path(name) / file.name for file in answer.files]
    else:
        bundle = open_bundle(path)
        files = [file for file in bundle.files if file.format in FORMATS]
        chosen = [file for file in files if not config.precision or file.precision in config.precision]
        if not chosen:
            available = ", ".join(dict.fromkeys(file.precision for file in files)) or "none"
            raise UserError(f"{path} has no such .tflite or .aimodel file; its precisions: {available}")
        yield [bundle.root / file.path for file in chosen]


def _print(report: FileReport, console: Console) -> None:
    """Print a table of the findings, then the cost and the remedy of each."""
    share = f"{report.operations} operations"
    if report.delegated_share is not None:
        share = f"XNNPACK runs {report.delegated_share:.0%} of {share} in {report.partitions} partitions"
    console.print(f"[bold]{escape(report.file)}[/]: {share}", highlight=False)
    if not report.findings:
        console.print("no findings")
        return
    table = Table("level", "rule", "on", "found")
    for number, finding in enumerate(report.findings, start=1):
        level = f"[{COLOURS[finding.level]}]{number} {finding.level}[/]"
        table.add_row(level, finding.rule, finding.on, escape(finding.found))
    console.print(table)
    for number, finding in enumerate(report.findings, start=1):
        console.print(f"[{COLOURS[finding.level]}]{number}[/] costs: {escape(finding.cost)}", highlight=False)
        if finding.where:
            console.print(f"  where: {escape(', '.join(finding.where))}", highlight=False, soft_wrap=True)
        console.print(f"  do: {escape(finding.remedy)}", highlight=False)
