"""The bundle on disk: ``NAME.mobiledet/`` or the same as one zip file. Opened verified, written atomically. No torch.

bundle.json            the ModelSpec and, for each model file, its size, checksum and measured figures
labels.txt             one class name a line
model.float16.tflite   ...
model.float16.mlpackage/
golden/                inputs and expected outputs that any runtime can replay (see ``GoldenCase``)
"""

import dataclasses
import hashlib
import json
import shutil
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mobiledet.archive import unpack
from mobiledet.atomic import atomic_folder
from mobiledet.errors import UserError
from mobiledet.leftovers import make_scratch_folder
from mobiledet.locks import locked_target
from mobiledet.records import Count, decode
from mobiledet.spec import ModelSpec, read_json

SUFFIX = ".mobiledet"
MAX_UNPACKED_BYTES = 4 << 30
LISTING_BYTES = 16 << 20
GRAPH, VISION = "graph", "vision"  # faces of a Core ML package
REQUIRED_EXTRAS = {"labels.txt", "golden/golden.json"}


@dataclass(frozen=True)
class ModelFile:
    """One model file of a bundle.

    Attributes:
        path: relative to the bundle, with forward slashes; an .mlpackage is a folder.
        format: ``tflite`` or ``coreml``.
        precision: ``float32``, ``float16``, ``int8`` ...
        bytes: size, of all its files for a folder.
        sha256: of the file, or of the sorted list of (path, checksum) for a folder.
        parity: figures of the comparison with the PyTorch detector at export; ``checked`` says how.
        map: measured COCO mAP with its dataset and number of images, or None when not measured.
        face: of a Core ML package, ``graph`` (the four outputs of a .tflite file) or ``vision`` (a pipeline that Vision
            takes for an object detector); both find the same. Empty for tflite.
        calibration: the images that integer activations were fitted to: ``source``, ``images`` (how many) and ``seed``.
        accelerators: what computes such a file and in which numbers, by kind of processor; None in older bundles.
    """

    path: str
    format: str
    precision: str
    bytes: Count
    sha256: str
    parity: dict[str, Any] | None = None
    map: dict[str, Any] | None = None
    face: str = ""
    calibration: dict[str, Any] | None = None
    accelerators: dict[str, str] | None = None


@dataclass(frozen=True)
class GoldenCase:
    """An input and the outputs that every runtime must reproduce within the tolerance of its precision.

    Attributes:
        image: height x width x 3 uint8 RGB, the model's input; on disk ``golden/N.rgb``, raw bytes.
        boxes: K x 4 (ymin, xmin, ymax, xmax) in 0..1, valid rows only.
        classes: K class indices.
        scores: K scores.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files have been verified.

    Attributes:
        path: what the user named, a folder or a zip.
        root: the folder that holds the files (a temporary one for a zip, removed with this object).
        spec: the model's description.
        files: the model files.
    """

    path: Path
    root: Path
    spec: ModelSpec
    files: tuple[ModelFile, ...]

    @property
    def sha256(self) -> str:
        """Checksum of bundle.json, which holds the checksums of all else: it names the bundle's exact content."""
        return hashlib.sha256((self.root / "bundle.json").read_bytes()).hexdigest()

    def select(self, name: str = "", format: str = "tflite") -> ModelFile:
        """The model file called ``name``.

        Args:
            name: a file name, or a precision such as ``float16``; empty takes the first file.
            format: is preferred where several files are of the precision, or the name is empty. Among Core ML packages
                the one whose outputs are those of a .tflite file goes before the one for Vision.

        Raises:
            UserError: there is none; the message lists what the bundle holds.
        """
        candidates = [f for f in self.files if name in ("", f.path, f.precision)]
        if not candidates:
            held = ", ".join(f.path for f in self.files) or "no model file"
            raise UserError(f"{self.path} holds no {name or 'file'}; it holds {held}")
        return min(candidates, key=lambda f: (f.path != name, f.format != format, f.face == VISION))

    def golden(self) -> tuple[GoldenCase, ...]:
        """The golden cases, in order.

        Raises:
            UserError: the bundle holds none, or they are malformed.
        """
        index = self.root / "golden" / "golden.json"
        try:
            return tuple(self._golden_case(case) for case in read_json(index)["cases"])
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UserError(f"{index} cannot be used: {error}; export the bundle again") from error

    def _golden_case(self, case: dict[str, Any]) -> GoldenCase:
        path = _inside(self.root, f"golden/{case['image']}", self.path)
        image = np.frombuffer(path.read_bytes(), np.uint8)
        return GoldenCase(
            image.reshape(self.spec.input.height, self.spec.input.width, 3),
            np.asarray(case["boxes"], np.float32).reshape(-1, 4),
            np.asarray(case["classes"], np.int64),
            np.asarray(case["scores"], np.float32),
        )

    def golden_tolerance(self, precision: str) -> dict[str, float]:
        """``{"iou": lowest IoU of a matched pair, "score": largest score difference}`` for a precision."""
        content = read_json(self.root / "golden" / "golden.json")
        tolerances = content.get("tolerances") if isinstance(content, dict) else None
        if not isinstance(tolerances, dict) or precision not in tolerances:
            raise UserError(f"{self.path}: no golden tolerance for precision {precision}")
        return dict(tolerances[precision])


def open_bundle(path: Path) -> Bundle:
    """Open a bundle folder or zip and verify every file in it.

    Raises:
        UserError: nothing is there, it is no bundle, a file is missing, changed or lies outside of the bundle.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"no bundle at {path}")
    if path.is_dir():
        return _verified(path, path)
    folder = make_scratch_folder("bundle")
    try:
        unpack(path, folder, MAX_UNPACKED_BYTES)
        bundle = _verified(path, _top(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(bundle, shutil.rmtree, folder, ignore_errors=True)
    return bundle


def write_bundle(
    path: Path,
    spec: ModelSpec,
    sources: Sequence[tuple[Path, ModelFile]],
    golden: Sequence[GoldenCase],
    tolerances: dict[str, dict[str, float]],
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle folder: whole or not at all.

    Args:
        path: the folder to make.
        sources: where each model file lies now, and its entry; size and checksum are filled in here.
        golden: replayable cases.
        tolerances: by precision, ``{"iou": …, "score": …}``.
        overwrite: replace what is there.

    Raises:
        UserError: ``path`` exists, or cannot be written.
    """
    with locked_target(path, "writing a bundle"), atomic_folder(path, overwrite) as folder:
        files = []
        for source, entry in sources:
            target = folder / entry.path
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
            size, sha256 = _measure(target)
            files.append(dataclasses.replace(entry, bytes=size, sha256=sha256))
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in spec.labels), encoding="utf-8")
        _write_golden(folder / "golden", golden, tolerances)
        extras = [folder / "labels.txt", *sorted((folder / "golden").iterdir())]
        listing = {
            **spec.to_json(),
            "files": [dataclasses.asdict(file) for file in files],
            "extras": {extra.relative_to(folder).as_posix(): _measure(extra)[1] for extra in extras},
        }
        listing["sha256"] = listing_sha256(listing)
        (folder / "bundle.json").write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")
    return open_bundle(path)


def copy_bundle(bundle: Bundle, path: Path, files: Sequence[ModelFile]) -> Bundle:
    """Write a bundle with some of another one's model files and all its golden cases.

    Args:
        bundle: is left as it is.
        path: the folder to make.
        files: those that the copy holds.

    Raises:
        UserError: ``path`` exists, or cannot be written.
    """
    tolerances = {file.precision: bundle.golden_tolerance(file.precision) for file in files}
    sources = [(bundle.root / file.path, file) for file in files]
    return write_bundle(path, bundle.spec, sources, bundle.golden(), tolerances)


def listing_sha256(listing: dict[str, Any]) -> str:
    """Checksum of what bundle.json says, apart from the checksum itself and from its layout."""
    content = {key: value for key, value in listing.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write_golden(folder: Path, golden: Sequence[GoldenCase], tolerances: dict[str, dict[str, float]]) -> None:
    folder.mkdir()
    cases = []
    for index, case in enumerate(golden):
        name = f"{index}.rgb"
        (folder / name).write_bytes(np.ascontiguousarray(case.image, np.uint8).tobytes())
        cases.append(
            {
                "image": name,
                "boxes": case.boxes.astype(float).tolist(),
                "classes": case.classes.astype(int).tolist(),
                "scores": case.scores.astype(float).tolist(),
            }
        )
    text = json.dumps({"cases": cases, "tolerances": tolerances}, indent=1)
    (folder / "golden.json").write_text(text + "\n", encoding="utf-8")


def _verified(path: Path, root: Path) -> Bundle:
    listing_path = root / "bundle.json"
    if not listing_path.is_file():
        raise UserError(f"{path} is not a mobiledet bundle: bundle.json is missing")
    listing = read_json(listing_path, LISTING_BYTES)
    spec = ModelSpec.from_json(listing, source=f"{path}: bundle.json", beside=("files", "extras", "sha256"))
    try:
        files: tuple[ModelFile, ...] = decode(tuple[ModelFile, ...], listing["files"], "files", filled=(ModelFile,))
        checksums = {
            **{file.path: file.sha256 for file in files},
            **decode(dict[str, str], listing["extras"], "extras"),
        }
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: bundle.json lists its files in a form that cannot be read: {error}") from error
    if listing.get("sha256") != listing_sha256(listing) or REQUIRED_EXTRAS - checksums.keys():
        raise UserError(f"{path}: bundle.json has changed (checksum differs); copy or export the bundle again")
    for name, sha256 in checksums.items():
        target = _inside(root, name, path)
        if not target.exists():
            raise UserError(f"{path}: {name} is missing; copy or export the bundle again")
        if _measure(target)[1] != sha256:
            raise UserError(f"{path}: {name} has changed (checksum differs); copy or export the bundle again")
    return Bundle(path, root, spec, files)


def _inside(root: Path, name: Any, path: Path) -> Path:
    """``root / name`` when that stays inside of ``root``."""
    parts = PurePosixPath(str(name)).parts
    target = root / str(name)
    if not parts or ".." in parts or PurePosixPath(str(name)).is_absolute() or "\\" in str(name):
        raise UserError(f"{path}: file name {str(name)!r} leads out of the bundle; do not use this bundle")
    if not target.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{path}: {name} is a link out of the bundle; do not use this bundle")
    return target


def _top(folder: Path) -> Path:
    """The folder with bundle.json: the given one, or its single sub-folder."""
    inner = [entry for entry in folder.iterdir() if entry.is_dir()]
    if not (folder / "bundle.json").exists() and len(inner) == 1:
        return inner[0]
    return folder


def _measure(path: Path) -> tuple[int, str]:
    """Size in bytes and checksum of a file, or of a folder by its sorted relative paths and their checksums."""
    if path.is_file():
        with path.open("rb") as file:
            return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    size = 0
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        file_size, file_sha256 = _measure(file_path)
        size += file_size
        digest.update(f"{file_path.relative_to(path).as_posix()}\0{file_sha256}\n".encode())
    return size, digest.hexdigest()
