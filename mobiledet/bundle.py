"""The bundle on disk, ``NAME.mobiledet/`` or the same as a zip file: verified when opened, written atomically. Imports
no torch.

SHA256SUMS             checksum of each other file (see ``mobiledet.files.checksums``)
bundle.json            the ModelSpec and, for each model file, its size and measured figures
labels.txt             one class name per line
model.float16.tflite   ...
model.float16.mlpackage/
model.float16.aimodel/
golden/                images and the outputs of each model file for them (see ``mobiledet.golden``)
"""

import dataclasses
import hashlib
import json
import shutil
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mobiledet.errors import UserError
from mobiledet.files.archive import unpack
from mobiledet.files.atomic import atomic_folder
from mobiledet.files.checksums import SUMS, checksum_of, inside, verified_checksums, write_checksums
from mobiledet.files.leftovers import make_scratch_folder
from mobiledet.files.locks import locked_target
from mobiledet.golden import INDEX, Golden, GoldenCase, golden_cases, read_golden, write_golden
from mobiledet.operating_point import OperatingPoint
from mobiledet.recommended import doubtful_files, read_recommended, recommend, runtimes_of
from mobiledet.records import Count, Range, Share, decode
from mobiledet.spec import ModelSpec, read_json

SUFFIX = ".mobiledet"
MAX_UNPACKED_BYTES = 4 << 30
LISTING_BYTES = 16 << 20
GRAPH, VISION = "graph", "vision"  # interfaces of a Core ML package
LISTING, LABELS, GOLDEN = "bundle.json", "labels.txt", "golden"


@dataclass(frozen=True)
class KernelCheck:
    """A model file on the kernels of another processor (``mobiledet arm-check``).

    Attributes:
        within: whether its outputs are within the file's own tolerance.
        runtime: the runtime that ran it, such as ``litert 2.3.0``.
        emulator: the emulator of the processor, such as ``QEMU 10.0.13``.
        reference: runtime and processor that it is compared with, such as ``litert 2.3.0, x86_64``.
        cases: number of golden cases.
        detections: number of detections of the reference in them.
        box_px: largest difference of a box's corner, in pixels of the model's input; None if the file did not run.
        score: largest difference of scores; None if the file did not run.
        unpaired: number of detections of either side without a counterpart on the other.
        problem: why the outputs are not within the tolerance; empty if they are.
    """

    within: bool
    runtime: str
    emulator: str
    reference: str
    cases: Count
    detections: Count = 0
    box_px: Annotated[float, Range(0)] | None = None
    score: Share | None = None
    unpaired: Count = 0
    problem: str = ""


@dataclass(frozen=True)
class ModelFile:
    """One model file of a bundle.

    Attributes:
        path: relative to the bundle, with forward slashes; an .mlpackage and an .aimodel are folders.
        format: ``tflite``, ``coreml`` or ``coreai``.
        precision: ``float32``, ``float16``, ``int8`` ...
        bytes: size; for a folder the total size of its files.
        sha256: checksum of the file, or of a folder's lines in SHA256SUMS; not in bundle.json.
        parity: results of the comparison with the PyTorch detector at export; ``checked`` says how it was made.
        map: measured COCO mAP with its data set and number of images, or None if not measured.
        face: interface of a Core ML package: ``graph`` (the four outputs of a .tflite file) or ``vision`` (a pipeline
            that the Vision framework uses as an object detector); both give the same detections. Empty for the others.
        calibration: the calibration images of quantised activations: ``source``, ``images`` (their number), ``seed``.
        accelerators: for each kind of processor, what runs such a file and in which precision; None in older bundles.
        kernels: checks on other processors, by name of the core; None if there were none.
        operating_point: score thresholds that `mobiledet thresholds` has stored; None if it has not.
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
    kernels: dict[str, KernelCheck] | None = None
    operating_point: OperatingPoint | None = None


@dataclass(frozen=True)
class LeftOut:
    """A model file that was requested but failed the checks of the export.

    Attributes:
        path: the path that it would have.
        reason: why it failed.
        advice: what to do.
    """

    path: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path} is left out: {self.reason}; {self.advice}"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files have been verified.

    Attributes:
        path: the folder or zip that the user named.
        root: the folder of the files; for a zip a temporary one, which is removed with this object.
        spec: description of the model.
        files: the model files.
        recorded: the golden cases, and the outputs of each model file for them.
        left_out: model files that were requested but failed the checks of the export.
        recommended: path of the model file to run, by runtime (see ``mobiledet.recommended``).
    """

    path: Path
    root: Path
    spec: ModelSpec
    files: tuple[ModelFile, ...]
    recorded: Golden = field(repr=False)
    left_out: tuple[LeftOut, ...] = ()
    recommended: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Checksum of SHA256SUMS, which covers all other files, so that it identifies the bundle's content."""
        return hashlib.sha256((self.root / SUMS).read_bytes()).hexdigest()

    def select(self, name: str = "", format: str = "tflite") -> ModelFile:
        """Choose a model file.

        Args:
            name: a file name, or a precision such as ``float16``; empty chooses the first file.
            format: preferred format if several files match. Among Core ML packages, the one with the outputs of a
                .tflite file is preferred to the one for Vision.

        Raises:
            UserError: no file matches; the message lists those in the bundle.
        """
        candidates = [f for f in self.files if name in ("", f.path, f.precision)]
        if not candidates:
            held = ", ".join(f.path for f in self.files) or "no model file"
            raise UserError(f"{self.path} holds no {name or 'file'}; it holds {held}")
        return min(candidates, key=lambda f: (f.path != name, f.format != format, f.face == VISION))

    def choose(self, name: str = "", accelerator: str = "auto", device: str = "local") -> ModelFile:
        """The named model file, as in ``select``; without a name the one that is recommended for an accelerator of a
        device.

        Raises:
            UserError: no file matches.
        """
        runtimes = runtimes_of(accelerator, device)
        return self.select(name or next((self.recommended[key] for key in runtimes if key in self.recommended), ""))

    def golden(self, file: ModelFile) -> tuple[GoldenCase, ...]:
        """The golden cases of a model file, in order.

        Raises:
            UserError: an image cannot be decoded.
        """
        try:
            return golden_cases(self.recorded, file.path, self.spec)
        except UserError as error:
            raise UserError(f"{self.path}: {error}; export the bundle again") from error


def open_bundle(path: Path) -> Bundle:
    """Open a bundle folder or zip and verify every file in it.

    Raises:
        UserError: the path does not exist or is not a bundle, or a file is missing, changed or outside the bundle.
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
    golden: Golden,
    overwrite: bool = False,
    left_out: Sequence[LeftOut] = (),
) -> Bundle:
    """Write a bundle folder atomically.

    Args:
        path: the folder to make.
        spec: description of the model.
        sources: the present path of each model file, and its entry; size and checksum are filled in here.
        golden: the golden cases, and the outputs of each model file for them.
        overwrite: replace an existing bundle.
        left_out: requested files that are not among ``sources``.

    Raises:
        UserError: ``path`` exists or cannot be written, or the golden cases do not match the files.
    """
    with locked_target(path, "writing a bundle"), atomic_folder(path, overwrite) as folder:
        files = []
        for source, entry in sources:
            target = folder / entry.path
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
            files.append({name: value for name, value in dataclasses.asdict(entry).items() if name != "sha256"})
            files[-1]["bytes"] = sum(file.stat().st_size for file in (target, *target.rglob("*")) if file.is_file())
        (folder / LABELS).write_text("".join(f"{label}\n" for label in spec.labels), encoding="utf-8")
        write_golden(folder / GOLDEN, golden)
        entries = [entry for _, entry in sources]
        listing = {
            **spec.to_json(),
            "files": files,
            "left_out": [dataclasses.asdict(file) for file in left_out],
            "recommended": recommend(entries, doubtful_files(entries)),
        }
        (folder / LISTING).write_text(json.dumps(listing, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        write_checksums(folder)
        bundle = _verified(path, folder)
    return dataclasses.replace(bundle, root=path)


def copy_bundle(bundle: Bundle, path: Path, files: Sequence[ModelFile]) -> Bundle:
    """Copy a bundle with only some of its model files.

    Args:
        bundle: the bundle to copy.
        path: the folder to make.
        files: the model files to copy.

    Raises:
        UserError: ``path`` exists or cannot be written.
    """
    sources = [(bundle.root / file.path, file) for file in files]
    return write_bundle(path, bundle.spec, sources, bundle.recorded.of([file.path for file in files]))


def _verified(path: Path, root: Path) -> Bundle:
    if not (root / LISTING).is_file():
        raise UserError(f"{path} is not a mobiledet bundle: {LISTING} is missing")
    checksums = verified_checksums(root, path)
    for name in (LISTING, LABELS, f"{GOLDEN}/{INDEX}"):
        if name not in checksums:
            raise UserError(f"{path}: {name} is missing; copy or export the bundle again")
    listing = read_json(root / LISTING, LISTING_BYTES)
    spec = ModelSpec.from_json(listing, source=f"{path}: {LISTING}", beside=("files", "left_out", "recommended"))
    entries = listing.get("files")
    try:
        if not isinstance(entries, list):
            raise ValueError("files is not a list")
        files = tuple(_model_file(entry, checksums, f"files[{index}]") for index, entry in enumerate(entries))
        if len({file.path for file in files}) < len(files):
            raise ValueError("files contains a path twice")
        for index, file in enumerate(files):
            if file.operating_point and file.sha256:
                _check_operating_point(file.operating_point, file, spec, f"files[{index}]")
        left_out = decode(tuple[LeftOut, ...], listing.get("left_out", []), "left_out")
    except ValueError as error:
        raise UserError(f"{path}: {LISTING} lists its files in a form that cannot be read: {error}") from error
    for file in files:
        inside(root, file.path, path)
        if not file.sha256:
            raise UserError(f"{path}: {file.path} is missing; copy or export the bundle again")
    try:
        recommended = read_recommended(listing.get("recommended"), files)
    except ValueError as error:
        raise UserError(f"{path}: {LISTING}: {error}") from error
    golden = read_golden(root / GOLDEN, spec, [file.path for file in files], path)
    return Bundle(path, root, spec, files, golden, left_out, recommended)


def _check_operating_point(point: OperatingPoint, file: ModelFile, spec: ModelSpec, where: str) -> None:
    try:
        point.check(spec.labels, file.sha256)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _model_file(entry: Any, checksums: Mapping[str, str], where: str) -> ModelFile:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or "sha256" in entry:
        raise ValueError(f"{where} is not the description of a file")
    known = {**entry, "sha256": checksum_of(entry["path"], checksums)}
    file: ModelFile = decode(ModelFile, known, where, filled=(ModelFile,))  # older bundles lack fields
    return file


def _top(folder: Path) -> Path:
    """The folder with bundle.json: ``folder`` or its only subfolder."""
    inner = [entry for entry in folder.iterdir() if entry.is_dir()]
    if not (folder / LISTING).exists() and len(inner) == 1:
        return inner[0]
    return folder
