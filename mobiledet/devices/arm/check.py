"""The command ``mobiledet arm-check``: compares the outputs of a bundle's files on ARM kernels with those here."""

import dataclasses
import json
import platform
import subprocess
from collections.abc import Iterator, Sequence
from itertools import combinations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.amend import amend_bundle
from mobiledet.bundle import Bundle, KernelCheck, ModelFile, open_bundle
from mobiledet.devices.arm.config import ArmCheckConfig
from mobiledet.devices.arm.cores import CORES, Core
from mobiledet.devices.arm.differences import Differences, differences
from mobiledet.devices.arm.emulated import last_words
from mobiledet.devices.arm.replay import Replay, replay
from mobiledet.devices.arm.setup_folder import ArmSetup, find_setup
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError, unknown_name
from mobiledet.files.leftovers import scratch_folder

EXIT_OUTSIDE = 3


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of a file on a core.

    Attributes:
        file: path of the file in the bundle.
        core: name of the core.
        accelerator: the accelerator that ran it; empty if it could not be run.
        here: largest differences from the outputs of this machine; None if there are no outputs to compare.
        problem: why it differs from the outputs at export by more than its tolerance; empty if it does not.
    """

    file: str
    core: str
    accelerator: str
    here: Differences | None
    problem: str


def run(config: ArmCheckConfig) -> int:
    """The command ``mobiledet arm-check``; returns 3 if a file exceeds its tolerance."""
    setup = find_setup()
    cores = [_core(name) for name in config.core or CORES]
    bundle = open_bundle(config.bundle)
    files = _files(bundle, config.file)
    findings, apart = check(bundle, files, setup, cores)
    if config.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        _print(findings, apart)
    if config.write:
        amended = amend_bundle(config.bundle, list(_facts(bundle, files, setup, findings)))
        if not config.json:
            print(f"written: kernels of {len(files)} files in {config.bundle}, now {amended.sha256[:8]}")
    return EXIT_OUTSIDE if any(finding.problem for finding in findings) else 0


def check(
    bundle: Bundle, files: Sequence[ModelFile], setup: ArmSetup, cores: Sequence[Core]
) -> tuple[list[Finding], dict[str, Differences]]:
    """Run the golden cases of files on this machine and on emulated cores.

    Args:
        bundle: the bundle.
        files: its .tflite files to run.
        setup: the installed emulator.
        cores: the cores to emulate.

    Returns:
        a finding for each file and core; and for each file that ran on several of them, how far they are apart.

    Raises:
        UserError: a file cannot be run here, or the emulator does not run.
    """
    paths = [file.path for file in files]
    at_home = {}
    for each in replay(bundle, paths):
        if each.problem:
            raise UserError(each.problem)
        at_home[each.file] = each
    findings, found = [], {}
    with Console(stderr=True).status("") as status:
        for core in cores:
            status.update(f"{core.name}: starting the emulator")
            for number, each in enumerate(_replay_on(setup, core, bundle, paths), 1):
                status.update(f"{core.name}: {number} of {len(paths)} files")
                found[each.file, core.name] = each
                here = None if each.problem else differences(bundle, each.file, at_home[each.file], each)
                problem = each.problem or _outside(bundle, each)
                findings.append(Finding(each.file, core.name, each.accelerator, here, problem))
    apart = {path: _apart(bundle, path, [found[path, core.name] for core in cores]) for path in paths}
    return findings, {path: worst for path, worst in apart.items() if worst}


def _replay_on(setup: ArmSetup, core: Core, bundle: Bundle, paths: Sequence[str]) -> Iterator[Replay]:
    """The outputs of the files on an emulated core, as they become available."""
    root = str(bundle.root.absolute())
    command, environment = setup.program(core, "mobiledet.devices.arm.replay", root, *paths)
    with scratch_folder("arm") as folder, (folder / "errors.txt").open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            assert process.stdout
            answers = 0
            for path, line in zip(paths, process.stdout, strict=False):
                answer = Replay.from_json(json.loads(line), bundle.spec.num_classes)
                if answer.file != path or (answer.cases and len(answer.cases) != len(bundle.recorded.cases)):
                    raise ValueError(f"it answers of {answer.file}, {len(answer.cases)} cases")
                answers += 1
                yield answer
            if process.stdout.read() or process.wait() or answers < len(paths):
                raise ValueError(f"it ended after {answers} of {len(paths)} files")
        except ValueError as error:
            process.kill()
            raise UserError(
                f"the emulated {core.name} does not run the files: {last_words(process, folder)}"
            ) from error
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


def _outside(bundle: Bundle, found: Replay) -> str:
    """Why the outputs of a core exceed the file's tolerance; empty if they do not."""
    cases = iter(found.cases)
    try:
        replay_golden(bundle, bundle.select(found.file), found.accelerator, lambda case: next(cases))
    except UserError as error:
        return str(error)
    return ""


def _apart(bundle: Bundle, path: str, found: Sequence[Replay]) -> Differences | None:
    """The largest differences between cores; None if fewer than two ran the file."""
    pairs = combinations([each for each in found if not each.problem], 2)
    return Differences.worst([differences(bundle, path, one, other) for one, other in pairs])


def _core(name: str) -> Core:
    if name.removeprefix("arm:") not in CORES:
        raise unknown_name("core", name, CORES)
    return CORES[name.removeprefix("arm:")]


def _files(bundle: Bundle, names: Sequence[str]) -> list[ModelFile]:
    files = [file for file in bundle.files if file.format == "tflite"]
    if not files:
        raise UserError(f"{bundle.path} contains no .tflite file, and Linux on ARM runs no other format; export one")
    chosen = {bundle.select(name).path for name in names}
    others = sorted(chosen - {file.path for file in files})
    if others:
        raise UserError(f"{bundle.path}: {others[0]} is not a .tflite file, and Linux on ARM runs no other format")
    return [file for file in files if not chosen or file.path in chosen]


def _facts(
    bundle: Bundle, files: Sequence[ModelFile], setup: ArmSetup, findings: Sequence[Finding]
) -> Iterator[tuple[ModelFile, dict[str, object]]]:
    """The new ``kernels`` of each file; results of other cores are kept."""
    runtime = f"litert {setup.about.packages['ai-edge-litert']}"
    reference = f"litert {LocalDevice().info().runtime_version}, {platform.machine()}"
    for file in files:
        found = {
            each.core: KernelCheck(
                within=not each.problem,
                runtime=runtime,
                emulator=setup.about.emulator,
                reference=reference,
                cases=len(bundle.recorded.cases),
                problem=each.problem,
                **(vars(each.here) if each.here else {}),
            )
            for each in findings
            if each.file == file.path
        }
        kernels = {**(file.kernels or {}), **found}
        yield file, {"kernels": {core: dataclasses.asdict(check) for core, check in kernels.items()}}


def _print(findings: Sequence[Finding], apart: dict[str, Differences]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "core", "boxes", "scores", "unpaired", ""):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        here = finding.here
        cells = ["", "", ""]
        if here:
            cells = [f"{here.box_px:.2g} px", f"{here.score:.2g}", f"{here.unpaired} of {here.detections}"]
        verdict = "[red]outside[/red]" if finding.problem else "[green]within[/green]"
        if finding.accelerator == "cpu":
            verdict += ", without XNNPACK"
        table.add_row(escape(finding.file), finding.core, *cells, verdict)
    Console().print(table)
    print("largest differences from the outputs of this machine; unpaired: without a detection on the same object")
    for path, worst in apart.items():
        print(f"{path}: cores {worst.text}")
    for finding in findings:
        if finding.problem:
            print(f"outside on {finding.core}: {finding.problem}")
