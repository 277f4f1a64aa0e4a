"""The command line: ``mobiledet COMMAND``, with one command per frozen config dataclass.

The table ``COMMANDS`` contains import paths instead of objects, so that only the modules of the chosen command are
loaded and the help appears at once.
"""

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mobiledet import __version__
from mobiledet.errors import UserError, unknown_name
from mobiledet.processes.garbage import no_garbage_collection

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


@dataclass(frozen=True)
class Command:
    """One subcommand.

    Attributes:
        config: ``module:class`` of the frozen dataclass whose fields are the options.
        function: ``module:function`` that takes the config and returns None or an exit status.
        help: one line for ``mobiledet --help``.
        defaults: ``module:function`` that takes the arguments after the command and returns the config to which its
            options are applied; empty for the dataclass's own defaults.
    """

    config: str
    function: str
    help: str
    defaults: str = ""


COMMANDS = {
    "quickstart": Command(
        "mobiledet.quickstart:QuickstartConfig",
        "mobiledet.quickstart:run",
        "run all steps in minutes on built-in data: train, export, evaluate, report",
    ),
    "data": Command(
        "mobiledet.overview.config:DataConfig",
        "mobiledet.overview.run:run",
        "show what is in a data set and what is wrong with it",
    ),
    "convert-data": Command(
        "mobiledet.overview.config:ConvertConfig",
        "mobiledet.overview.convert:run",
        "convert a data set to the format of COCO, YOLO or Pascal VOC",
    ),
    "train": Command(
        "mobiledet.training.config:TrainConfig",
        "mobiledet.training.engine:run",
        "train a detector on COCO, on your own annotated images, or on built-in shapes",
        "mobiledet.training.recipes:base_config_of_arguments",
    ),
    "zoo": Command(
        "mobiledet.zoo.config:ZooConfig",
        "mobiledet.zoo.listing:run",
        "list the published detectors that can be imported: size, cost, mAP, licence",
    ),
    "import": Command(
        "mobiledet.zoo.config:ImportConfig",
        "mobiledet.zoo.importing:run",
        "convert a published detector's weights to a checkpoint",
    ),
    "export": Command(
        "mobiledet_converters.config:ExportConfig",
        "mobiledet_converters.export:run",
        "export a checkpoint to a bundle: TFLite and Core ML files, checked against PyTorch",
    ),
    "lint": Command(
        "mobiledet_converters.config:LintConfig",
        "mobiledet_converters.lint.run:run",
        "find what slows down a TFLite file on a CPU, a GPU or an NPU",
    ),
    "evaluate": Command(
        "mobiledet.evaluation.config:EvaluateConfig",
        "mobiledet.evaluation.run:run",
        "measure a bundle on a device: mAP, latency, memory",
    ),
    "thresholds": Command(
        "mobiledet.evaluation.config:ThresholdsConfig",
        "mobiledet.evaluation.thresholds:run",
        "choose the score threshold of each class, and store it in the bundle",
    ),
    "report": Command(
        "mobiledet.evaluation.config:ReportConfig",
        "mobiledet.evaluation.report:run",
        "plot mAP against latency from result files: an HTML page and a PNG",
    ),
    "compare": Command(
        "mobiledet.versions.config:CompareConfig",
        "mobiledet.versions.run:run",
        "compare a new version with an old one: better or worse, with an exit status for CI",
    ),
    "card": Command(
        "mobiledet.model_card.config:CardConfig",
        "mobiledet.evaluation.card:run",
        "write a bundle's model card: data, licence, accuracy, latency, checks, limits",
    ),
    "sweep": Command(
        "mobiledet.sweep.config:SweepConfig",
        "mobiledet.sweep.run:run",
        "evaluate many models on many devices, and write one report",
    ),
    "sign": Command(
        "mobiledet.signing.config:SignConfig",
        "mobiledet.signing.run:run",
        "sign a bundle, so that apps can install it as a new model at run time",
    ),
    "predict": Command(
        "mobiledet.evaluation.config:PredictConfig",
        "mobiledet.zoo_bundle:predict",
        "detect objects in images and videos with a bundle or a published detector",
    ),
    "devices": Command(
        "mobiledet.devices.config:DevicesConfig",
        "mobiledet.devices.reachable:run",
        "list the devices that evaluate can reach: this machine, phones, agents",
    ),
    "arm-setup": Command(
        "mobiledet.devices.arm.config:ArmSetupConfig",
        "mobiledet.devices.arm.setup:run",
        "download what is needed to run bundles on emulated ARM processors",
    ),
    "arm-check": Command(
        "mobiledet.devices.arm.config:ArmCheckConfig",
        "mobiledet.devices.arm.check:run",
        "check a bundle's golden cases on the kernels of several generations of phones",
    ),
    "agent": Command(
        "mobiledet.devices.agent.config:AgentConfig",
        "mobiledet.devices.agent.run:run",
        "let evaluate on another machine use this one as a device",
    ),
    "agent-check": Command(
        "mobiledet.devices.agent.config:AgentCheckConfig",
        "mobiledet.devices.agent.run_check:run",
        "check that an agent follows the protocol",
    ),
    "web": Command(
        "mobiledet.devices.browser.config:WebConfig",
        "mobiledet.devices.browser.run:run",
        "run a bundle in a phone's browser, or write the page for a web server",
    ),
    "list": Command(
        "mobiledet.listing:ListConfig",
        "mobiledet.listing:run",
        "list the backbones: parameters, multiply-adds, published accuracy",
    ),
    "plan": Command(
        "mobiledet.planning.config:PlanConfig",
        "mobiledet.planning.run:run",
        "recommend networks to train for a budget of milliseconds and megabytes",
    ),
    "profile": Command(
        "mobiledet.profile.config:ProfileConfig",
        "mobiledet.profile.run:run",
        "show the cost of a network layer by layer, and whether it follows the guidelines",
    ),
    "shapes": Command(
        "mobiledet.data.config:ShapesConfig",
        "mobiledet.data.shapes:run",
        "write the built-in synthetic data set in COCO's folder layout",
    ),
    "doctor": Command(
        "mobiledet.doctor:DoctorConfig",
        "mobiledet.doctor:run",
        "check this machine and say how to fix what is wrong",
    ),
}

FROM_COCO_TO_A_PHONE = """\
From COCO to a phone in five commands:
  mobiledet doctor
  mobiledet train --backbone shufflenet_v2_1x --data /data/coco --out runs/coco
  mobiledet export runs/coco/best.ckpt --format tflite coreml
  mobiledet evaluate runs/coco/best.mobiledet --data /data/coco --out results/coco.json
  mobiledet report results/coco.json

mobiledet COMMAND --help explains the options of one command.
MOBILEDET_DEBUG=1 shows the traceback of an error."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 success, 2 user error, 130 interrupted, or the command's own.

    Args:
        argv: the arguments after ``mobiledet``; by default those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.platform == "win32":  # there is neither fcntl nor resource
        return _fail("error: mobiledet needs Linux or macOS; on Windows use its Subsystem for Linux", EXIT_USER_ERROR)
    try:
        try:
            with _sigterm_as_exit():
                return _dispatch(arguments)
        finally:
            sys.stdout.flush()
    except UserError as error:
        return _fail(f"error: {error}", EXIT_USER_ERROR)
    except PermissionError as error:
        return _fail(f"error: no permission for {error.filename}; check its owner and mode", EXIT_USER_ERROR)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing more may be written, not even by the interpreter's final flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that temporary files are removed."""
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(_overview(), file=sys.stderr)
        return EXIT_USER_ERROR
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        print(f"mobiledet {__version__}")
        return 0
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    try:
        import tyro

        defaults = {"default": _resolve(command.defaults)(arguments)} if command.defaults else {}
        config = tyro.cli(_resolve(command.config), prog=f"mobiledet {name}", args=arguments, **defaults)
        status: int | None = _resolve(command.function)(config)
    except (ImportError, RuntimeError) as error:
        reason = _broken_installation(error)
        if reason is None:
            raise
        raise UserError(f"{reason}; run `mobiledet doctor` to see how to fix it") from error
    return status or 0


def _broken_installation(error: ImportError | RuntimeError) -> str | None:
    """The reason, if the error means that packages are missing or incompatible; otherwise None."""
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("mobiledet"):
        from mobiledet.doctor import extra_with

        module = error.name.partition(".")[0]
        extra = extra_with(module)
        return f"the Python package {module!r} is not installed" + (f": pip install '{extra}'" if extra else "")
    if "torchvision::nms" in str(error):
        return "torch and torchvision are of different builds"
    return None


def _resolve(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    with no_garbage_collection():
        attribute: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return attribute


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mobiledet [--help] [--version] COMMAND ...",
            "",
            "Object detectors for phones: train, export, and measure the exported file.",
            "",
            "commands:",
            *lines,
            "",
            FROM_COCO_TO_A_PHONE,
        ]
    )


def _fail(message: str, status: int) -> int:
    if os.environ.get("MOBILEDET_DEBUG") == "1":
        traceback.print_exc()
    print(message, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
