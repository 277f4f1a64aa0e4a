"""Bundles that open, and bundles that must be refused. Their model files are no models: nothing runs them."""

import dataclasses
import hashlib
import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.bundle import GoldenCase, ModelFile, listing_sha256, write_bundle
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec, TrainingInfo

EPOCH = (1980, 1, 1, 0, 0, 0)
LINK = stat.S_IFLNK | 0o777
TEBIBYTE = 1 << 40
SIDE = 32
FILE_FIELDS = ("path", "format", "precision", "bytes", "sha256", "parity", "map", "face")
MODEL = "model.float32.tflite"
TOLERANCES = {"float32": {"iou": 0.99, "score": 1e-3}, "float16": {"iou": 0.95, "score": 0.01}}
SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite",
    input=InputSpec(SIDE, SIDE),
    labels=("cat", "chien à poil", "鳥"),
    category_ids=(17, 18, 90),
    nms=NmsSpec(iou=0.45, score=0.02, top_k=20, max_detections=5),
    detector_options={"ratios": [1.0, 0.5, 1e-05]},
    training=TrainingInfo(dataset="none", split="none", epochs=1.5, commit="", seed=3),
)
GOLDEN_OUTPUTS = (
    ([[0.125, 0.25, 0.5, 0.75], [0.0, 0.0, 0.30000001, 0.40000001]], [1, 0], [0.875, 0.5]),
    ([[0.5, 0.5, 1.0, 1.0]], [2], [0.93750012]),
)

Files = dict[str, bytes]


def golden_cases() -> list[GoldenCase]:
    """Two inputs and what is in them, by decree."""
    cases = []
    for index, (boxes, classes, scores) in enumerate(GOLDEN_OUTPUTS):
        ramp = np.arange(SIDE * SIDE * 3).reshape(SIDE, SIDE, 3) * (index + 3)
        boxes_yxyx = np.array(boxes, np.float32)
        cases.append(GoldenCase(ramp.astype(np.uint8), boxes_yxyx, np.array(classes), np.array(scores, np.float32)))
    return cases


@contextmanager
def good_bundle() -> Iterator[Path]:
    """The folder of a sound bundle, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tflite, package = folder / "a.tflite", folder / "a.mlpackage"
        tflite.write_bytes(b"no model " * 20)
        (package / "Data").mkdir(parents=True)
        (package / "Manifest.json").write_bytes(b"{}")
        (package / "Data" / "weights.bin").write_bytes(b"no weights")
        sources = [
            (tflite, ModelFile(MODEL, "tflite", "float32", 0, "", parity={"checked": "no", "worst": 1e-07})),
            (package, ModelFile("model.float16.mlpackage", "coreml", "float16", 0, "")),
        ]
        root = write_bundle(folder / "tiny.mobiledet", SPEC, sources, golden_cases(), TOLERANCES).root
        listing = json.loads((root / "bundle.json").read_text())
        # the fields of today: those that files get later have defaults, and older bundles still open
        listing["files"] = [{field: file[field] for field in FILE_FIELDS} for file in listing["files"]]
        listing["sha256"] = listing_sha256(listing)
        (root / "bundle.json").write_text(json.dumps(listing, indent=1) + "\n")
        yield root


def good_files() -> Files:
    """Content of each file of the sound bundle, by its path."""
    with good_bundle() as root:
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def bundle_cases(folder: Path) -> list[dict[str, Any]]:
    """Write the bundles; what each of them is."""
    good = good_files()
    shutil.rmtree(folder)
    for name, content in good.items():
        (folder / "good" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "good" / name).write_bytes(content)
    _zip(folder / "good.zip", good)
    _zip(folder / "deflated.zip", good, zipfile.ZIP_DEFLATED)
    _zip(folder / "in-a-folder.zip", {f"tiny.mobiledet/{name}": content for name, content in good.items()})
    sound = [{"file": name, **_described(good)} for name in ("good", "good.zip", "deflated.zip", "in-a-folder.zip")]
    return [*sound, *_refused(folder, good)]


def _described(files: Files) -> dict[str, Any]:
    listing = json.loads(files["bundle.json"])
    (first, _) = golden_cases()
    return {
        "opens": True,
        "sha256": _sha256(files["bundle.json"]),
        "name": SPEC.name,
        "input": [SPEC.input.height, SPEC.input.width],
        "labels": SPEC.labels,
        "category_ids": SPEC.category_ids,
        "nms": dataclasses.asdict(SPEC.nms),
        "files": [{key: file[key] for key in ("path", "format", "precision", "bytes")} for file in listing["files"]],
        "tolerances": TOLERANCES,
        "golden": [
            {
                "image_sha256": _sha256(case.image.tobytes()),
                "boxes": case.boxes.tolist(),
                "classes": case.classes.tolist(),
                "scores": case.scores.tolist(),
            }
            for case in golden_cases()
        ],
        "first_pixels": first.image[0, :4].tolist(),
    }


def _refused(folder: Path, good: Files) -> list[dict[str, Any]]:
    """Write what is no sound bundle; ``mentions`` is a part of a good message."""
    cases = []

    def case(name: str, kind: str, mentions: str, files: Mapping[str, bytes]) -> None:
        _zip(folder / f"{name}.zip", files)
        cases.append({"file": f"{name}.zip", "opens": False, "kind": kind, "mentions": mentions})

    def relisted(change: Mapping[str, Any]) -> Files:
        """Another listing whose own checksum is right."""
        listing = {**json.loads(good["bundle.json"]), **change}
        return {**good, "bundle.json": json.dumps({**listing, "sha256": listing_sha256(listing)}).encode()}

    listing = json.loads(good["bundle.json"])
    (first, second) = listing["files"]
    case("changed-model", "checksum", MODEL, {**good, MODEL: good[MODEL].replace(b"no", b"No", 1)})
    changed_weights = {**good, "model.float16.mlpackage/Data/weights.bin": b"no Weights"}
    case("changed-package", "checksum", "model.float16.mlpackage", changed_weights)
    case("changed-golden", "checksum", "golden/1.rgb", {**good, "golden/1.rgb": bytes(SIDE * SIDE * 3)})
    changed_listing = good["bundle.json"].replace(b"0.45", b"0.46")
    case("changed-listing", "checksum", "bundle.json", {**good, "bundle.json": changed_listing})
    case("missing-model", "missing", MODEL, {name: content for name, content in good.items() if name != MODEL})
    case("missing-golden", "checksum", "bundle.json", relisted({"extras": {}}))
    case("no-listing", "no_bundle", "bundle.json", {"labels.txt": good["labels.txt"]})
    case("listing-is-no-json", "no_bundle", "bundle.json", {**good, "bundle.json": b"{"})
    case("newer-schema", "schema", "schema version 2", relisted({"schema_version": 2}))
    case("missing-field", "schema", "labels", relisted_without(good, "labels"))
    odd_input = {**listing["input"], "height": 33}
    case("odd-input", "schema", "33", relisted({"input": odd_input}))
    case("listed-escape", "path", "../", relisted({"files": [{**first, "path": f"../{MODEL}"}, second]}))
    case("listed-absolute", "path", "/etc/hostname", relisted({"files": [{**first, "path": "/etc/hostname"}, second]}))
    case("entry-escape", "path", "../escaped", {**good, "../escaped": b"evil"})
    case("entry-hidden-escape", "path", "golden/../../escaped", {**good, "golden/../../escaped": b"evil"})
    case("entry-absolute", "path", "/escaped", {**good, "/escaped": b"evil"})
    case("entry-backslash", "path", "escaped", {**good, "..\\escaped": b"evil"})
    case("link", "link", "link", {**good, "link": b"/etc/hostname"})
    case("huge", "size", "huge", {**good, "huge": b"not so huge"})
    case("lying-size", "zip", "lying-size", {**good, "lying": bytes(1 << 16)})
    whole = (folder / "good.zip").read_bytes()
    for name, content in (("truncated", whole[: len(whole) // 2]), ("no-zip", b"no zip"), ("empty", b"")):
        (folder / f"{name}.zip").write_bytes(content)
        cases.append({"file": f"{name}.zip", "opens": False, "kind": "zip", "mentions": name})
    return cases


def relisted_without(good: Files, field: str) -> Files:
    """The bundle without a field of its listing, whose own checksum is right."""
    listing = {key: value for key, value in json.loads(good["bundle.json"]).items() if key != field}
    return {**good, "bundle.json": json.dumps({**listing, "sha256": listing_sha256(listing)}).encode()}


def checksum_cases() -> list[dict[str, str]]:
    """JSON objects and the checksum that bundle.json holds of its own content."""
    objects: list[dict[str, Any]] = [
        {},
        {"b": 1, "a": 2, "B": [], "é": {}, "": None, "a.b": True, "a/b": False},
        {"text": 'quotes " backslash \\ slash / tab \t newline \n return \r bell \b feed \f null \0 delete \x7f'},
        {"unicode": "é 鳥 😀 \u2028", "😀": 1, "\uffff": 2},
        {"numbers": [0, -1, 1 << 53, 0.1, -0.0, 1e-07, 1.5e300, 123.675, 1e16, 1e22, 5e-324]},
        {"nested": {"z": [{"y": [[], [1, [2]]]}, {}], "a": {"c": 1, "b": {"e": 1, "d": 2}}}, "sha256": "is left out"},
        json.loads(good_files()["bundle.json"]),
    ]
    spaced = [json.dumps(objects[-1], indent=3, ensure_ascii=False), json.dumps(objects[4], separators=(",", ":"))]
    texts = [*(json.dumps(content) for content in objects), *spaced]
    return [{"text": text, "sha256": listing_sha256(json.loads(text))} for text in texts]


def recordings() -> list[dict[str, Any]]:
    """Outputs for each golden input of the sound bundle, as its model file would give them; padded to all rows."""
    rows, found = SPEC.nms.max_detections, []
    for case in golden_cases():
        missing = rows - len(case.scores)
        found.append(
            {
                "input_sha256": _sha256(case.image.tobytes()),
                "boxes": [*case.boxes.tolist(), *([[0.0] * 4] * missing)],
                "classes": [*case.classes.astype(float).tolist(), *([0.0] * missing)],
                "scores": [*case.scores.tolist(), *([0.0] * missing)],
                "count": float(len(case.scores)),
            }
        )
    return found


def _zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """A zip that is the same whenever it is written."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix: the mode stands in the upper half of the attributes
            entry.external_attr = (LINK if name == "link" else stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if name == "lying" else method
            archive.writestr(entry, content)
            if name == "huge":
                entry.file_size = TEBIBYTE
            if name == "lying":
                entry.file_size = 100


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
