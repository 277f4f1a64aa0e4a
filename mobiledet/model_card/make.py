"""Makes the model card of a bundle and its measurements."""

from collections.abc import Iterator, Sequence

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.drawing.figures import milliseconds, precision, size
from mobiledet.model_card.card import NOT_MEASURED, NOT_RECORDED, Card, Section, Table
from mobiledet.model_card.measured import Measured, Scored
from mobiledet.operating_point import OperatingPoint
from mobiledet.recommended import recommended_text

MAX_CLASSES = 100  # that are named
FEW_OBJECTS_NOTE = "An AP of few objects says little; a dash means that there are none."


def make_card(bundle: Bundle, measured: Sequence[Measured] = ()) -> Card:
    """Make the card.

    Args:
        bundle: the opened bundle.
        measured: measurements of its files.
    """
    spec = bundle.spec
    subtitle = (
        f"Object detector {spec.detector} on {spec.backbone}, {spec.input.height} × {spec.input.width} pixels, "
        f"{spec.num_classes} {'class' if spec.num_classes == 1 else 'classes'}"
    )
    sections = (
        _model(bundle),
        _origin(bundle),
        _files(bundle),
        _accuracy(bundle, measured),
        _latency(measured),
        _thresholds(bundle),
        _checks(bundle),
        _kernels(bundle),
        _limits(bundle, measured),
    )
    return Card(spec.name, subtitle, sections)


def _model(bundle: Bundle) -> Section:
    spec, nms = bundle.spec, bundle.spec.nms
    shown = ", ".join(spec.labels[:MAX_CLASSES])
    more = spec.num_classes - MAX_CLASSES
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (spec.input.mean, spec.input.std))
    facts = (
        ("backbone", spec.backbone),
        ("detector", spec.detector),
        ("input", f"1 × {spec.input.height} × {spec.input.width} × 3, {spec.input.channels}, values 0..255"),
        ("resizing", f"{spec.input.resize_text}, sampling {spec.input.sampling}; EXIF orientation: {spec.input.exif}"),
        ("normalisation", f"in the file: mean {mean}; deviation {std}"),
        ("output", f"at most {nms.max_detections} boxes (ymin, xmin, ymax, xmax in 0..1) with class and score"),
        ("suppression", f"IoU {nms.iou:g} within a class, scores from {nms.score:g} on, of {nms.top_k} candidates"),
        ("classes", f"{spec.num_classes}: {shown}" + (f" and {more} more" if more > 0 else "")),
        ("bundle", f"sha256 {bundle.sha256}, when this was written"),
    )
    return Section("model", "Model", facts)


def _origin(bundle: Bundle) -> Section:
    spec, training = bundle.spec, bundle.spec.training
    facts: list[tuple[str, str]] = []
    if spec.origin:
        origin = spec.origin
        published = NOT_RECORDED
        if origin.published_map is not None:
            published = f"{origin.published_map:g} % on {origin.published_split}, as the publisher reports"
        facts += [
            ("weights", f"{origin.name}, from {origin.source}"),
            ("checksum of the weights", f"sha256 {origin.sha256}"),
            ("licence of the weights", origin.licence or NOT_RECORDED),
            ("published mAP", published),
        ]
    else:
        facts += [
            ("weights", "trained with mobiledet; initial weights of the backbone: " + NOT_RECORDED),
            ("licence of the weights", NOT_RECORDED),
        ]
    trained = NOT_RECORDED
    if training.dataset:
        trained = f"{training.dataset}, part {training.split or NOT_RECORDED}, {training.epochs:g} epochs"
        trained += f", seed {training.seed}"
    facts += [
        ("training data", trained),
        ("licence of the data", NOT_RECORDED),
        ("commit of the code", training.commit or NOT_RECORDED),
    ]
    return Section("origin", "Data, weights and licence", tuple(facts))


def _files(bundle: Bundle) -> Section:
    headings = ("file", "precision", "size", "mAP at export", "AP50", "on", "calibrated on", "sha256")
    rows = tuple(
        (
            file.path,
            file.precision,
            size(file.bytes),
            *_map_at_export(file),
            _calibration(file),
            file.sha256[:16],
        )
        for file in bundle.files
    )
    kinds = sorted({kind for file in bundle.files for kind in file.accelerators or {}})
    runs = Table(
        ("file", *kinds),
        tuple(
            (file.path, *((file.accelerators or {}).get(kind, NOT_RECORDED) for kind in kinds)) for file in bundle.files
        ),
        "Runtimes",
    )
    left_out = tuple(f"Not in the bundle: {entry}." for entry in bundle.left_out)
    recommended = f"Recommended: {recommended_text(bundle.recommended)}."
    tables = (Table(headings, rows), *((runs,) if kinds else ()))
    return Section("files", "Files", tables=tables, notes=(recommended, *left_out))


def _map_at_export(file: ModelFile) -> tuple[str, str, str]:
    figures = file.map
    if not figures:
        return NOT_MEASURED, NOT_MEASURED, NOT_MEASURED
    values = (figures.get("AP"), figures.get("AP50"))
    ap, ap50 = (precision(v) if isinstance(v, int | float) else NOT_MEASURED for v in values)
    return ap, ap50, f"{figures.get('dataset', NOT_RECORDED)}, {figures.get('images', NOT_RECORDED)} images"


def _calibration(file: ModelFile) -> str:
    figures = file.calibration
    if not figures:
        return "needs none" if file.precision.startswith("float") else NOT_RECORDED
    return f"{figures.get('images', NOT_RECORDED)} images of {figures.get('source', NOT_RECORDED)}"


def _accuracy(bundle: Bundle, measured: Sequence[Measured]) -> Section:
    scored = [(entry, entry.scored) for entry in measured if entry.scored]
    if not scored:
        note = "mAP by size and class: not measured. mobiledet evaluate measures it, mobiledet card --results shows it."
        return Section("accuracy", "Accuracy", notes=(note,))
    headings = ("file", "mAP", "AP50", "AP75", "small", "medium", "large", "recall", "images", "on")
    rows = tuple(
        (
            entry.file,
            *(precision(getattr(s.metrics, name)) for name in ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")),
            _images(s),
            entry.where,
        )
        for entry, s in scored
    )
    sizes = Table(
        headings, rows, "By size of the objects (small: below 32 × 32 pixels of the image; large: from 96 × 96)"
    )
    names = [entry.file for entry, _ in scored]
    columns = [
        (entry.file if names.count(entry.file) == 1 else f"{entry.file}, {_images(s)}, {entry.where}", s)
        for entry, s in scored
    ]
    labels = [label for label in bundle.spec.labels if any(label in s.metrics.per_class for _, s in columns)]
    classes = Table(
        ("class", *(name for name, _ in columns)),
        tuple((label, *(precision(s.metrics.per_class.get(label)) for _, s in columns)) for label in labels),
        "By class: AP",
    )
    return Section("accuracy", "Accuracy", tables=(sizes, classes), notes=(FEW_OBJECTS_NOTE,))


def _images(scored: Scored) -> str:
    how = f", {scored.how}" if scored.how else ""
    return f"{scored.dataset}, {scored.metrics.images}{how}"


def _latency(measured: Sequence[Measured]) -> Section:
    headings = ("file", "p50 ms", "95 % interval", "p90 ms", "runs", "load ms", "memory", "on", "day", "remarks")
    rows = tuple(
        (
            entry.file,
            milliseconds(entry.timed.p50_ms),
            f"{milliseconds(entry.timed.p50_low_ms)} to {milliseconds(entry.timed.p50_high_ms)}",
            milliseconds(entry.timed.p90_ms),
            str(entry.timed.runs),
            milliseconds(entry.timed.load_ms),
            size(entry.timed.memory_bytes),
            entry.where,
            entry.created,
            entry.timed.remarks,
        )
        for entry in measured
        if entry.timed
    )
    if not rows:
        return Section("latency", "Latency", notes=("Latency: not measured on any device.",))
    note = "Of one run of the file alone, after the warm-up; unknown on other devices."
    return Section("latency", "Latency", tables=(Table(headings, rows),), notes=(note,))


def _thresholds(bundle: Bundle) -> Section:
    tables = tuple(_threshold_table(f.path, f.operating_point) for f in bundle.files if f.operating_point)
    if not tables:
        note = f"Score thresholds for showing detections: {NOT_RECORDED}. A score is not a probability."
        return Section("thresholds", "Thresholds", notes=(note,))
    note = "The intervals contain precision and recall on as many new images of the same kind in 49 of 50 cases."
    return Section("thresholds", "Thresholds", tables=tables, notes=(note,))


def _threshold_table(file: str, point: OperatingPoint) -> Table:
    def share(value: float | None, low: float | None, high: float | None) -> str:
        return (
            NOT_MEASURED if value is None or low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"
        )

    rows = tuple(
        (
            entry.label,
            f"{entry.threshold:.3f}" + ("" if entry.own else " (of all classes)"),
            share(entry.precision, entry.precision_low, entry.precision_high),
            share(entry.recall, entry.recall_low, entry.recall_high),
        )
        for entry in point.classes
    )
    return Table(("class", "threshold", "precision", "recall"), rows, f"{file}: {point}")


def _checks(bundle: Bundle) -> Section:
    headings = ("file", "how", "detections that agree", "lowest IoU", "largest difference of scores")
    rows = []
    for file in bundle.files:
        figures = file.parity or {}
        agree = NOT_RECORDED
        if "matched" in figures and "expected" in figures:
            agree = f"{figures['matched']} of {figures['expected']} in {figures.get('images', NOT_RECORDED)} images"
        numbers = (figures.get("lowest_iou"), figures.get("largest_score_difference"))
        iou, score = (f"{v:.4g}" if isinstance(v, int | float) else NOT_RECORDED for v in numbers)
        rows.append((file.path, str(figures.get("checked", NOT_RECORDED)), agree, iou, score))
    notes = (
        "Each file was compared with the PyTorch detector at export. "
        f"The bundle contains {len(bundle.recorded.cases)} golden images; every device first runs a file on them, and "
        "a runtime with other detections is refused.",
    )
    return Section("checks", "How the files were checked", tables=(Table(headings, tuple(rows)),), notes=notes)


def _kernels(bundle: Bundle) -> Section:
    rows = tuple(
        (
            file.path,
            core,
            "within its tolerance" if check.within else f"outside: {check.problem}",
            NOT_MEASURED if check.box_px is None else f"{check.box_px:.3g} px",
            NOT_MEASURED if check.score is None else f"{check.score:.2g}",
            f"{check.runtime}, {check.emulator}",
            check.reference,
        )
        for file in bundle.files
        for core, check in (file.kernels or {}).items()
    )
    if not rows:
        note = "Kernels of other processors: not verified. mobiledet arm-check verifies them by emulation."
        return Section("kernels", "Kernels", notes=(note,))
    headings = ("file", "core", "outputs", "box differs by", "score differs by", "run by", "against")
    missing = [file.path for file in bundle.files if not file.kernels]
    notes = (f"Not verified: {', '.join(missing)}.",) if missing else ()
    return Section("kernels", "Kernels verified", tables=(Table(headings, rows),), notes=notes)


def _limits(bundle: Bundle, measured: Sequence[Measured]) -> Section:
    return Section("limits", "Limits", notes=tuple(_limit_texts(bundle, measured)))


def _limit_texts(bundle: Bundle, measured: Sequence[Measured]) -> Iterator[str]:
    spec = bundle.spec
    yield f"It knows only the {spec.num_classes} classes above; other objects are missed, or confused with them."
    yield (
        f"It sees an image at {spec.input.height} × {spec.input.width} pixels: objects of a few pixels are missed. "
        "With tiles (--tiles) more of them are detected, at the cost of a run for each tile."
    )
    yield f"It returns at most {spec.nms.max_detections} detections an image, with scores from {spec.nms.score:g} on."
    yield "Scores are not probabilities, and thresholds of one file may not suit another."
    sets = sorted({entry.scored.dataset for entry in measured if entry.scored})
    sets += sorted(
        {str(file.map["dataset"]) for file in bundle.files if file.map and file.map.get("dataset")} - set(sets)
    )
    if sets:
        yield (
            f"mAP was measured on {', '.join(sets)}; on images of another kind (place, light, camera, weather) it is "
            "unknown."
        )
    else:
        yield "mAP was not measured on any images."
    if any(name.startswith("shapes") for name in (*sets, spec.training.dataset)):
        yield "The built-in shapes are drawn by a program: their mAP says nothing about photographs."
    if not any(entry.timed for entry in measured):
        yield "Latency was not measured on any device."
    yield "Whether it works equally well for all people, places or conditions was not examined."
