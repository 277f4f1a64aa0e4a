"""Sections of the report on devices, bundles and method."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mobiledet.data.images import list_images, load_rgb
from mobiledet.devices.base import DeviceInfo, DeviceState
from mobiledet.drawing.figures import NOT_MEASURED, precision, size
from mobiledet.drawing.markup import Markup, join, tag
from mobiledet.drawing.page import definitions, figure
from mobiledet.evaluation.comparison import full_name, series_name, short_names
from mobiledet.evaluation.result import Accuracy, Result

MAX_LEFT_OUT = 20  # entries of a result that are listed


def devices(results: Sequence[Result]) -> Markup:
    """A card for each device, with its state before, during and after each measurement."""
    by_device: dict[DeviceInfo, list[tuple[str, Result]]] = {}
    for name, result in zip(short_names(results), results, strict=True):
        by_device.setdefault(result.device, []).append((name, result))
    cards = [_device_card(device, members) for device, members in by_device.items()]
    return tag("section", tag("h2", "Devices"), *cards, id="devices")


def _device_card(device: DeviceInfo, results: Sequence[tuple[str, Result]]) -> Markup:
    facts = [
        ("model", device.model),
        ("system", device.os),
        ("processor", f"{device.cpu}, {device.cores} cores"),
        ("runtime", f"{device.runtime} {device.runtime_version}"),
        ("host", ", ".join(f"{name} {version}" for name, version in results[0][1].versions.items())),
    ]
    rows = [
        tag("tr", tag("td", name), tag("td", _accelerator(result)), *_condition(result.latency.states))
        for name, result in results
        if result.latency
    ]
    headings = ("measured", "runs on", "load", "hottest °C")
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in headings)))
    table = tag("div", tag("table", head, tag("tbody", *rows)), class_="wide") if rows else Markup("")
    return tag("div", tag("div", tag("h3", device.name), definitions(facts)), table, class_="card split")


def _accelerator(result: Result) -> str:
    """Name of the accelerator, and the share of the graph's operations that it runs."""
    share = result.execution.delegated_share
    return result.execution.actual + (f", {100 * share:.0f} %" if share else "")


def _condition(states: Sequence[DeviceState]) -> Iterable[Markup]:
    """Load and highest temperature, before, during and after the measurement."""
    loads = [f"{state.load:.1f}" for state in states if state.load is not None]
    hottest = [f"{max(state.temperatures_c.values()):.0f}" for state in states if state.temperatures_c]
    for values in (loads, hottest):
        yield tag("td", " → ".join(values) or NOT_MEASURED)


def failures(reasons: Mapping[str, str]) -> Markup:
    """The failed measurements, with the reasons."""
    if not reasons:
        return Markup("")
    facts = definitions(reasons.items())
    return tag("section", tag("h2", "Failures"), tag("div", facts, class_="card"), id="failures")


def bundles(results: Sequence[Result]) -> Markup:
    """A card for each bundle: the model, its training, and the measured files."""
    by_bundle: dict[str, list[Result]] = {}
    for result in results:
        by_bundle.setdefault(result.bundle_sha256, []).append(result)
    cards = [_bundle_card(members) for members in by_bundle.values()]
    return tag("section", tag("h2", "Bundles"), tag("div", *cards, class_="cards"), id="bundles")


def _bundle_card(results: Sequence[Result]) -> Markup:
    spec, training = results[0].spec, results[0].spec.training
    facts = [
        ("backbone", spec.backbone),
        ("detector", spec.detector),
        ("input", f"{spec.input.height} × {spec.input.width}, {spec.input.channels}, {spec.input.resize_text}"),
        ("classes", f"{spec.num_classes}: " + ", ".join(spec.labels[:6]) + (", …" if spec.num_classes > 6 else "")),
        ("suppression", f"IoU {spec.nms.iou:g}, score {spec.nms.score:g}, {spec.nms.max_detections} detections"),
    ]
    if training.dataset:
        trained = f"{training.dataset} {training.split}, {training.epochs:g} epochs, seed {training.seed}"
        facts.append(("training", trained))
    facts.append(("checksum", results[0].bundle_sha256[:16]))
    files = {result.file.path: result for result in results}
    return tag("div", tag("h3", spec.name), definitions(facts), *map(_file, files.values()), class_="card")


def _file(result: Result) -> Markup:
    """Details of one model file: checksum, golden inputs, and the comparison at export."""
    golden, file = result.golden, result.file
    facts = [
        ("size", size(file.bytes)),
        ("checksum", file.sha256[:16]),
        (
            "runtime against the file",
            f"{golden.detections} detections in {golden.cases} golden cases, IoU ≥ {golden.lowest_iou:.4f}, "
            f"score within {golden.largest_score_difference:.2g}, before and after the measurement",
        ),
    ]
    if file.kernels:
        cores = [core if found.within else f"{core} (outside)" for core, found in file.kernels.items()]
        facts.append(("kernels, emulated", ", ".join(cores)))
    parity = file.parity or {}
    if "matched" in parity:
        facts.append(
            (
                "file against PyTorch",
                f"{parity['matched']} of {parity['expected']} detections in {parity['images']} images, at export",
            )
        )
    plain = {k: v for k, v in parity.items() if isinstance(v, str | int | float)}
    facts += [(name.replace("_", " "), f"{v:.4g}" if isinstance(v, float) else str(v)) for name, v in plain.items()]
    return tag("details", tag("summary", file.path), definitions(facts))


def pictures(folder: Path) -> Markup:
    """All images of a folder, embedded in the page.

    Raises:
        UserError: the folder contains no image, or one cannot be read.
    """
    figures = [figure(load_rgb(path, apply_orientation=True), path.name, path.name) for path in list_images(folder)]
    return tag("section", tag("h2", "Detections"), tag("div", *figures, class_="pictures"), id="pictures")


def method(results: Sequence[Result]) -> Markup:
    """How the numbers were measured, with the commands that repeat the measurements."""
    scorers = sorted({result.accuracy.scorer for result in results if result.accuracy})
    notes = [
        "mAP is COCO's AP at IoU 0.50 to 0.95, of the exported file itself"
        + (f", computed by {' and '.join(scorers)}." if scorers else "."),
        "Each file was checked twice. At export: does it detect the same objects as PyTorch? On the device, before and "
        "after each measurement: does this runtime reproduce the file's detections at export (the golden gate)?",
        "Percentiles are interpolated linearly between samples. The cold start is the median over fresh processes; "
        "memory is the growth of such a process.",
    ]
    skipped = [
        tag("li", f"{full_name(result)}: {problem}")
        for result in results
        if result.accuracy
        for problem in _left_out(result.accuracy)
    ]
    commands = [
        tag(
            "tr",
            tag("td", result.created),
            tag("td", tag("code", result.command), class_="left"),
            tag("td", _score(result)),
        )
        for result in results
        if result.command
    ]
    return tag(
        "section",
        tag("h2", "Method"),
        *(tag("p", note) for note in notes),
        join(tag("h3", "Left out"), tag("ul", *skipped)) if skipped else Markup(""),
        tag("div", tag("table", tag("tbody", *commands)), class_="card wide") if commands else Markup(""),
        id="method",
    )


def _score(result: Result) -> str:
    return f"mAP {precision(result.accuracy.metrics.AP)}" if result.accuracy else series_name(result)


def _left_out(accuracy: Accuracy) -> list[str]:
    """The first entries that were left out, and a line with the total if there are more."""
    if len(accuracy.skipped) <= MAX_LEFT_OUT:
        return list(accuracy.skipped)
    counted = f"{len(accuracy.skipped)} in all: {accuracy.skipped_by_reason}"
    return [*accuracy.skipped[:MAX_LEFT_OUT], counted]
