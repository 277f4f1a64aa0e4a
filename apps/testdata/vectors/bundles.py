"""Bundles that open, and bundles that must be refused. Their model files are not real models: nothing runs them."""

import dataclasses
import hashlib
import json
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.bundle import Bundle, ModelFile, open_bundle, write_bundle
from mobiledet.files.checksums import SUMS, write_checksums
from mobiledet.golden import Golden, GoldenFile, GoldenInput, GoldenOutputs
from mobiledet.matching import Tolerance
from mobiledet.operating_point import ClassPoint
from mobiledet.options import SsdLiteOptions
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec, TrainingInfo

EPOCH = (1980, 1, 1, 0, 0, 0)
LINK = stat.S_IFLNK | 0o777
TEBIBYTE = 1 << 40
SIDE = 32
FILE_FIELDS = ("path", "format", "precision", "bytes", "parity", "map", "face")
MODEL, PACKAGE = "model.float32.tflite", "model.float16.mlpackage"
TOLERANCES = {
    MODEL: (Tolerance(0.99, 1e-3), Tolerance(0.95, 0.01)),
    PACKAGE: (Tolerance(0.96, 0.015625), Tolerance(0.9, 0.03125)),
}
SPEC = ModelSpec(
    name="tiny",
    backbone="shufflenet_v2_0.5x",
    detector="ssdlite",
    input=InputSpec(SIDE, SIDE),
    labels=("cat", "chien à poil", "鳥"),
    category_ids=(17, 18, 90),
    nms=NmsSpec(iou=0.45, score=0.02, top_k=20, max_detections=5),
    detector_options=SsdLiteOptions(anchors=(((1.0, 0.5), (1e-05, 0.25)),)),
    training=TrainingInfo(dataset="none", split="none", epochs=1.5, commit="", seed=3),
)
# boxes, classes, scores and cut of each case; those of the package are lower by a 64th
GOLDEN_OUTPUTS = (
    ([[0.125, 0.25, 0.5, 0.75], [0.0, 0.0, 0.30000001, 0.40000001]], [1, 0], [0.875, 0.5], 0.0),
    ([[0.5, 0.5, 1.0, 1.0]], [2], [0.93750012], 0.0),
    ([[0.25, 0.125, 0.75, 0.5], [0.0, 0.5, 0.5, 1.0], [0.5, 0.0, 1.0, 0.25]], [0, 0, 1], [0.75, 0.625, 0.25], 0.125),
)

Files = dict[str, bytes]


def golden() -> Golden:
    """Two inputs and an image, with invented outputs of each file for them."""
    ramps = [np.arange(SIDE * SIDE * 3).reshape(SIDE, SIDE, 3) * (index + 3) for index in range(2)]
    picture = np.random.RandomState(4).randint(0, 256, (24, 70, 3)).astype(np.uint8)
    cases = [
        *(GoldenInput.of_pixels(ramp.astype(np.uint8)) for ramp in ramps),
        GoldenInput(_png(picture), encoded=True),
    ]
    files = {
        MODEL: GoldenFile(_outputs(0.0), "litert, x86-64, XNNPACK", *TOLERANCES[MODEL]),
        PACKAGE: GoldenFile(_outputs(1 / 64), "interpreter", *TOLERANCES[PACKAGE]),
    }
    return Golden(tuple(cases), files)


def _outputs(lower: float) -> tuple[GoldenOutputs, ...]:
    return tuple(
        GoldenOutputs(
            np.array(boxes, np.float32), np.array(classes), np.array(scores, np.float32) - np.float32(lower), cut
        )
        for boxes, classes, scores, cut in GOLDEN_OUTPUTS
    )


def _png(pixels: np.ndarray) -> bytes:
    """A PNG file that is the same with every version of zlib, because it is not compressed."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 0)),
        (b"IEND", b""),
    ]
    framed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@contextmanager
def good_bundle() -> Iterator[Path]:
    """The folder of a valid bundle, within a ``with`` block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tflite, package = folder / "a.tflite", folder / "a.mlpackage"
        tflite.write_bytes(b"no model " * 20)
        (package / "Data").mkdir(parents=True)
        (package / "Manifest.json").write_bytes(b"{}")
        (package / "Data" / "weights.bin").write_bytes(b"no weights")
        sources = [
            (tflite, ModelFile(MODEL, "tflite", "float32", 0, "", parity={"checked": "no", "worst": 1e-07})),
            (package, ModelFile(PACKAGE, "coreml", "float16", 0, "")),
        ]
        root = write_bundle(folder / "tiny.mobiledet", SPEC, sources, golden()).root
        listing = json.loads((root / "bundle.json").read_text())
        # the current fields: later ones have defaults, so that older bundles can be opened
        listing["files"] = [{field: file[field] for field in FILE_FIELDS} for file in listing["files"]]
        (root / "bundle.json").write_text(json.dumps(listing, indent=1) + "\n")
        write_checksums(root)
        yield root


def good_files() -> Files:
    """Content of each file of the valid bundle, by path."""
    with good_bundle() as root:
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def bundle_cases(folder: Path) -> list[dict[str, Any]]:
    """Write the bundles, and return a description of each."""
    good = good_files()
    shutil.rmtree(folder)
    for name, content in good.items():
        (folder / "good" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "good" / name).write_bytes(content)
    bundle = open_bundle(folder / "good")
    _zip(folder / "good.zip", good)
    _zip(folder / "deflated.zip", good, zipfile.ZIP_DEFLATED)
    _zip(folder / "in-a-folder.zip", {f"tiny.mobiledet/{name}": content for name, content in good.items()})
    sound = [{"file": name, **_described(bundle)} for name in ("good", "good.zip", "deflated.zip", "in-a-folder.zip")]
    listing = json.loads(good["bundle.json"])
    del listing["input"]["sampling"]  # of files from before there was a choice: the picture gives other pixels
    _zip(folder / "older-input.zip", with_sums({**good, "bundle.json": json.dumps(listing).encode()}))
    sound.append({"file": "older-input.zip", **_described(open_bundle(folder / "older-input.zip"))})
    point = operating_point([0.25, 0.4, 0.05], json.loads(good["bundle.json"]), bundle)
    _zip(folder / "operating-point.zip", with_sums({**good, "bundle.json": json.dumps(point).encode()}))
    sound.append({"file": "operating-point.zip", **_described(open_bundle(folder / "operating-point.zip"))})
    for name, stored in (("without-recommended", None), ("recommended", {"gpu": MODEL, "abacus": PACKAGE})):
        listing = json.loads(good["bundle.json"])
        del listing["recommended"]
        listing.update({"recommended": stored} if stored else {})
        _zip(folder / f"{name}.zip", with_sums({**good, "bundle.json": json.dumps(listing).encode()}))
        sound.append({"file": f"{name}.zip", **_described(open_bundle(folder / f"{name}.zip"))})
    rule = {"resize": "letterbox", "padding": "black", "placement": "top-left"}
    listing = json.loads(good["bundle.json"])
    listing["input"].update(rule)
    _zip(folder / "letterbox.zip", with_sums({**good, "bundle.json": json.dumps(listing).encode()}))
    sound.append({"file": "letterbox.zip", **_described(open_bundle(folder / "letterbox.zip"))})
    return [*sound, *_refused(folder, good, bundle)]


def operating_point(thresholds: Any, listing: dict[str, Any], bundle: Bundle) -> dict[str, Any]:
    """A listing whose first file has thresholds, and whose second file has null."""
    point = {
        "thresholds": thresholds,
        "classes": [
            dataclasses.asdict(ClassPoint(label, threshold, own=False))
            for label, threshold in zip(SPEC.labels, thresholds if isinstance(thresholds, list) else [], strict=False)
        ],
        "rule": "best F1",
        "iou": 0.5,
        "dataset": "none",
        "images": 3,
        "images_sha256": "1" * 64,
        "result_sha256": "2" * 64,
        "file_sha256": bundle.files[0].sha256,
        "created": "2026-11-29T12:00:00+00:00",
    }
    first, second = listing["files"]
    return {**listing, "files": [{**first, "operating_point": point}, {**second, "operating_point": None}]}


def _described(bundle: Bundle) -> dict[str, Any]:
    return {
        "opens": True,
        "sha256": bundle.sha256,
        "name": SPEC.name,
        "input": [SPEC.input.height, SPEC.input.width],
        "labels": SPEC.labels,
        "category_ids": SPEC.category_ids,
        "nms": dataclasses.asdict(SPEC.nms),
        "files": [{key: getattr(f, key) for key in ("path", "format", "precision", "bytes")} for f in bundle.files],
        "recommended": bundle.recommended,
        "thresholds": [f.operating_point.thresholds if f.operating_point else None for f in bundle.files],
        "golden": {file.path: _recorded(bundle, file) for file in bundle.files},
        "first_pixels": bundle.golden(bundle.files[0])[0].image[0, :4].tolist(),
    }


def _recorded(bundle: Bundle, file: ModelFile) -> dict[str, Any]:
    recorded = bundle.recorded.files[file.path]
    return {
        "runtime": recorded.runtime,
        "tolerance": {"cpu": vars(recorded.cpu), "accelerated": vars(recorded.accelerated)},
        "cases": [
            {
                "image_sha256": _sha256(case.image.tobytes()),
                "encoded": bool(case.encoded),
                "boxes_xyxy": case.expected.boxes_xyxy.tolist(),
                "classes": case.expected.labels.tolist(),
                "scores": case.expected.scores.tolist(),
                "cut": case.cut,
            }
            for case in bundle.golden(file)
        ],
    }


def _refused(folder: Path, good: Files, bundle: Bundle) -> list[dict[str, Any]]:
    """Write invalid bundles; ``mentions`` is contained in a good error message."""
    cases = []

    def case(name: str, kind: str, mentions: str, files: Mapping[str, bytes]) -> None:
        _zip(folder / f"{name}.zip", files)
        cases.append({"file": f"{name}.zip", "opens": False, "kind": kind, "mentions": mentions})

    def relisted(change: Mapping[str, Any], without: str = "") -> Files:
        """Another listing, with the right checksum."""
        listing = {**json.loads(good["bundle.json"]), **change}
        listing.pop(without, None)
        return with_sums({**good, "bundle.json": json.dumps(listing).encode()})

    def resummed(change: Callable[[str], str]) -> Files:
        return {**good, SUMS: change(good[SUMS].decode()).encode()}

    def without(*names: str) -> Files:
        return {name: content for name, content in good.items() if name not in names}

    listing = json.loads(good["bundle.json"])
    (first, second) = listing["files"]
    case("changed-model", "checksum", MODEL, {**good, MODEL: good[MODEL].replace(b"no", b"No", 1)})
    case("changed-package", "checksum", PACKAGE, {**good, f"{PACKAGE}/Data/weights.bin": b"no Weights"})
    case("changed-golden", "checksum", "golden/1.rgb", {**good, "golden/1.rgb": bytes(SIDE * SIDE * 3)})
    case(
        "changed-listing",
        "checksum",
        "bundle.json",
        {**good, "bundle.json": good["bundle.json"].replace(b"0.45", b"0.46")},
    )
    case("changed-sums", "checksum", MODEL, resummed(lambda text: text.replace(_sha256(good[MODEL]), "0" * 64)))
    case("missing-model", "missing", MODEL, without(MODEL))
    case("missing-package", "missing", PACKAGE, with_sums({k: v for k, v in good.items() if not k.startswith(PACKAGE)}))
    case("missing-labels", "missing", "labels.txt", with_sums(without("labels.txt")))
    case("missing-golden", "missing", "golden/golden.json", with_sums(without("golden/golden.json")))
    case("missing-picture", "missing", "golden/2.png", without("golden/2.png"))
    case("no-sums", "missing", SUMS, without(SUMS))
    case("not-listed", "unlisted", "notes.txt", {**good, "notes.txt": b"forgotten"})
    case("not-listed-in-package", "unlisted", f"{PACKAGE}/.DS_Store", {**good, f"{PACKAGE}/.DS_Store": b""})
    case("malformed-sums", "sums", SUMS, resummed(lambda text: text.replace("  ", " ")))
    older = json.dumps({"cases": [], "tolerances": {}}).encode()
    case("older-golden", "golden", "older mobiledet", with_sums({**good, "golden/golden.json": older}))
    case(
        "malformed-golden", "golden", "golden/golden.json", with_sums({**good, "golden/golden.json": b'{"version": 2}'})
    )
    case("no-listing", "no_bundle", "bundle.json", {"labels.txt": good["labels.txt"]})
    case("listing-is-no-json", "no_bundle", "bundle.json", with_sums({**good, "bundle.json": b"{"}))
    case("newer-schema", "schema", "schema version 2", relisted({"schema_version": 2}))
    case("missing-field", "schema", "labels", relisted({}, without="labels"))
    case("categories-few", "schema", "category", relisted({"category_ids": [17, 18]}))
    case("categories-repeat", "schema", "category ids repeat", relisted({"category_ids": [17, 18, 17]}))
    case("categories-fraction", "schema", "category_ids", relisted({"category_ids": [17, 18, 90.5]}))
    case("categories-text", "schema", "category_ids", relisted({"category_ids": [17, 18, "90"]}))
    odd_input = {**listing["input"], "height": 31}
    case("odd-input", "schema", "31", relisted({"input": odd_input}))
    for field, value in (("resize", "crop"), ("padding", "red"), ("placement", "bottom")):
        change = {"input": {**listing["input"], "resize": "letterbox", field: value}}
        case(f"odd-{field}", "schema", value, relisted(change))
    case("odd-sampling", "schema", "cubic", relisted({"input": {**listing["input"], "sampling": "cubic"}}))
    for name, odd in (("few", [0.5, 0.5]), ("high", [0.5, 1.5, 0.5]), ("text", [0.5, "0.5", 0.5]), ("no-list", 0.5)):
        change = operating_point(odd, json.loads(good["bundle.json"]), bundle)
        case(f"thresholds-{name}", "schema", "thresholds", relisted(change))
    for name, odd, mentions in (
        ("absent", {"cpu": "model.int8.tflite"}, "recommended.cpu names model.int8.tflite, which is not"),
        ("unfit", {"gpu": PACKAGE}, f"recommended.gpu names {PACKAGE}, which that runtime cannot run"),
        ("no-object", [MODEL], "recommended"),
        ("no-text", {"cpu": 1}, "recommended"),
    ):
        case(f"recommended-{name}", "schema", mentions, relisted({"recommended": odd}))
    for name, mentions, odd_path in (("escape", "../", f"../{MODEL}"), ("absolute", "/etc/hostname", "/etc/hostname")):
        odd_files = {"files": [{**first, "path": odd_path}, second]}
        case(f"listed-{name}", "path", mentions, relisted(odd_files, without="recommended"))
    case("summed-escape", "path", "../escaped", resummed(lambda text: text + f"{'0' * 64}  ../escaped\n"))
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


def with_sums(files: Mapping[str, bytes]) -> Files:
    """The files with their checksums."""
    named = sorted((name, content) for name, content in files.items() if name != SUMS)
    return {**files, SUMS: "".join(f"{_sha256(content)}  {name}\n" for name, content in named).encode()}


def recordings() -> list[dict[str, Any]]:
    """Outputs of the model file for each golden input of the valid bundle, padded to all rows."""
    rows, found, made = SPEC.nms.max_detections, [], golden()
    for case, outputs in zip(made.cases, made.files[MODEL].outputs, strict=True):
        missing = rows - len(outputs.scores)
        found.append(
            {
                "input_sha256": _sha256(case.pixels(SPEC).tobytes()),
                "boxes": [*outputs.boxes.tolist(), *([[0.0] * 4] * missing)],
                "classes": [*outputs.classes.astype(float).tolist(), *([0.0] * missing)],
                "scores": [*outputs.scores.tolist(), *([0.0] * missing)],
                "count": float(len(outputs.scores)),
            }
        )
    return found


def _zip(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    """A zip whose bytes do not depend on the time."""
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
