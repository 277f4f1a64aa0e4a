"""The command ``mobiledet profile``: costs and run time of a network, or the experiments behind the guidelines."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from torch import nn

from mobiledet.backbones import build_classifier
from mobiledet.complexity import count_parameters, layer_costs
from mobiledet.detectors import DETECTORS, detector_from_spec
from mobiledet.devices.base import DeviceInfo
from mobiledet.errors import UserError, unknown_name
from mobiledet.profile.config import ProfileConfig
from mobiledet.profile.findings import find
from mobiledet.profile.guidelines import run_guidelines
from mobiledet.profile.picture import write_profile_picture
from mobiledet.profile.record import NetworkProfile, shares_by_kind, write_json
from mobiledet.profile.runtime import RunTime, measure_run_time
from mobiledet.profile.survey import survey
from mobiledet.profile.tables import print_profile
from mobiledet.profile.trace import trace
from mobiledet.progress import shown_steps
from mobiledet.spec import MIN_SIDE, InputSpec, ModelSpec
from mobiledet_converters.config import EXIT_INCOMPLETE
from mobiledet_converters.process import missing_package
from mobiledet_converters.tflite.network import Network, convert_networks
from mobiledet_converters.wrapper import DetectionGraph

CLASSIFIER_SIDE = 224  # pixels, as in the papers
DETECTOR_SIDE = 320
CLASSES = 80  # of a detector: COCO's


def run(config: ProfileConfig) -> int:
    """The command ``mobiledet profile``; returns 0, or 3 if --all had to leave a network out.

    Raises:
        UserError: an option is wrong, or a file cannot be written.
    """
    check(config)
    console = Console()
    if config.all:
        return EXIT_INCOMPLETE if survey(config, console).left_out else 0
    if config.guidelines:
        run_guidelines(config.out or Path("results/profile-guidelines"), config.rounds, config.threads, console)
        return 0
    profile = profile_network(config, console)
    print_profile(profile, console)
    out = config.out or Path("results") / f"profile-{profile.name.replace(':', '-')}-{profile.input_size}"
    write_json(out / "profile.json", profile.to_json())
    write_profile_picture(out / "profile.png", profile)
    console.print(f"written: {out / 'profile.json'}, {out / 'profile.png'}", highlight=False, soft_wrap=True)
    return 0


def check(config: ProfileConfig) -> None:
    """Check options before any work.

    Raises:
        UserError: an option is invalid.
    """
    for name in ("threads", "rounds"):
        if getattr(config, name) < 1:
            raise UserError(f"--{name} {getattr(config, name)} is below 1")
    if config.out and config.out.exists() and config.out.is_dir() == config.all:
        kinds = ("a folder", "a file") if config.all else ("a file", "a folder")
        raise UserError(f"--out {config.out} is {kinds[0]}; give the name of {kinds[1]}")
    if config.guidelines or config.all:
        option = "--all" if config.all else "--guidelines"
        if config.backbone or config.detector or config.input_size or not config.measure:
            raise UserError(f"{option} measures its own set of networks; drop the options that name a network")
        if config.guidelines and config.all:
            raise UserError("--guidelines and --all measure different sets of networks; give one of them")
        return
    if config.device != "local":
        raise UserError("--device needs --all; the time of single operations can be measured only on this machine")
    if not config.backbone:
        raise UserError("give --backbone, such as shufflenet_v2_1x (mobiledet list shows all), or --guidelines")
    if config.detector and config.detector not in DETECTORS:
        raise unknown_name("detector", config.detector, DETECTORS)
    if config.input_size and config.input_size < MIN_SIDE:
        raise UserError(f"--input-size {config.input_size} is below {MIN_SIDE}")


def profile_network(config: ProfileConfig, console: Console | None = None) -> NetworkProfile:
    """Count and measure a network.

    Args:
        config: names the network.
        console: for progress; by default nothing is shown.

    Raises:
        UserError: the backbone or the detector is unknown, or the network cannot be run at this size.
    """
    side = config.input_size or (DETECTOR_SIDE if config.detector else CLASSIFIER_SIDE)
    network, exported = _build(config, side)
    try:
        layers, seen = layer_costs(network, side, side), trace(network, side, side)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{config.backbone} does not run at --input-size {side}: {reason}") from error
    run_time, reason = None, "--no-measure"
    if config.measure:
        run_time, reason = _measure(Network(exported, (3, side, side)), config.threads, console or Console(quiet=True))
    return NetworkProfile(
        name="-".join(filter(None, (config.backbone, config.detector))),
        input_size=side,
        parameters=count_parameters(network),
        layers=layers,
        shares=shares_by_kind(layers),
        findings=find(layers, seen, run_time),
        run_time=run_time,
        reason=reason,
        device=_device() if run_time else None,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _build(config: ProfileConfig, side: int) -> tuple[nn.Module, nn.Module]:
    """The network to count, and the network to convert, which for a detector includes the post-processing."""
    if not config.detector:
        classifier = build_classifier(config.backbone).eval()
        return classifier, classifier
    labels = tuple(f"class {number}" for number in range(CLASSES))
    spec = ModelSpec("profile", config.backbone, config.detector, InputSpec(side, side), labels, tuple(range(CLASSES)))
    detector = detector_from_spec(spec).eval()
    return detector, DetectionGraph(detector, spec).eval()


def _measure(network: Network, threads: int, console: Console) -> tuple[RunTime | None, str]:
    """The measured time, or None and the reason why it cannot be measured; counting does not need it."""
    missing = missing_package("network")
    if missing:
        return None, f"needs {missing}, which is not installed: pip install 'mobiledet[tflite]'"
    try:
        with tempfile.TemporaryDirectory() as folder, shown_steps(console) as on_step:
            files = convert_networks({"network": network}, Path(folder), on_step)
            on_step("measuring")
            return measure_run_time(files["network"], threads), ""
    except UserError as error:
        return None, str(error)


def _device() -> DeviceInfo:
    from mobiledet.devices.local import LocalDevice  # loads LiteRT, which counting does not need

    return LocalDevice().info()
