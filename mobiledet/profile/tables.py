"""Prints profiles as tables."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.complexity import KINDS
from mobiledet.drawing.figures import milliseconds
from mobiledet.profile.record import COUNTS, NetworkProfile
from mobiledet.profile.runtime import RUN_KINDS, RunTime

TITLES = {"macs": "MAdds", "parameters": "parameters", "memory_access": "memory access"}
LAYERS_SHOWN = 10
OPERATIONS_SHOWN = 8


def print_profile(profile: NetworkProfile, console: Console) -> None:
    """Print the most expensive layers, the sums, the shares by kind, the time by operation, and the findings."""
    console.print(_layers(profile))
    console.print(_shares(profile))
    if profile.run_time:
        console.print(_run_time(profile.run_time))
        if profile.device:
            console.print(f"{profile.device.cpu}, LiteRT {profile.device.runtime_version}", highlight=False)
    else:
        console.print(f"run time not measured: {profile.reason}", markup=False, highlight=False, soft_wrap=True)
    for finding in profile.findings:
        console.print(f"\n[bold]{finding.guideline} {finding.title}[/bold]")
        console.print(finding.text, markup=False, highlight=False)
    console.print()


def _layers(profile: NetworkProfile) -> Table:
    shown = sorted(profile.layers, key=lambda layer: -layer.macs)[:LAYERS_SHOWN]
    table = Table(title=f"{escape(profile.name)}, {profile.input_size} x {profile.input_size} pixels")
    table.add_column(f"layer (top {len(shown)} of {len(profile.layers)})")
    table.add_column("kind", no_wrap=True)
    for title in ("channels", "MAdds M", "params K", "memory access M"):
        table.add_column(title, justify="right")
    for layer in shown:
        table.add_row(
            escape(layer.name),
            layer.kind,
            f"{layer.in_channels} to {layer.out_channels}",
            f"{layer.macs / 1e6:.2f}",
            f"{layer.parameters / 1e3:.1f}",
            f"{layer.memory_access / 1e6:.3f}",
        )
    table.add_section()
    sums = (f"{profile.macs / 1e6:.1f}", f"{profile.parameters / 1e3:.1f}", f"{profile.memory_access / 1e6:.2f}")
    table.add_row("all, normalisation included", "", "", *sums, style="bold")
    return table


def _shares(profile: NetworkProfile) -> Table:
    table = Table(title="share by kind of layer")
    table.add_column("of")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    for count in COUNTS:
        table.add_row(TITLES[count], *(f"{profile.shares[count][kind]:.1%}" for kind in KINDS))
    return table


def _run_time(run_time: RunTime) -> Table:
    threads = f"{run_time.threads} thread" + ("s" if run_time.threads != 1 else "")
    table = Table(
        title=f"time in LiteRT: {milliseconds(run_time.whole_ms)} ms on {threads}",
        caption=f"all operations: {run_time.coverage:.0%} of the run, as LiteRT tells whole microseconds; "
        "Fully Connected are 1x1 convolutions too",
    )
    table.add_column("operations")
    for title in ("number", "ms", "share"):
        table.add_column(title, justify="right")
    total = sum(operation.ms for operation in run_time.operations)
    for kind in RUN_KINDS:
        operations = [operation for operation in run_time.operations if operation.kind == kind]
        count, ms = sum(operation.count for operation in operations), sum(operation.ms for operation in operations)
        table.add_row(kind, str(count), milliseconds(ms), f"{run_time.shares[kind]:.1%}", style="bold")
        for operation in [o for o in operations if o in run_time.operations[:OPERATIONS_SHOWN]]:
            name = f"  {escape(operation.name)}"
            table.add_row(name, str(operation.count), milliseconds(operation.ms), f"{operation.ms / total:.1%}")
    return table
