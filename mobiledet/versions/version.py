"""One of the two versions: its detections, from a result, a file of detections, or a bundle that is run now."""

import dataclasses
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobiledet.bundle import Bundle
from mobiledet.data.config import Exif
from mobiledet.data.dataset import DetectionSet
from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.evaluation.config import EvaluateConfig, ScoredImages
from mobiledet.evaluation.detection_log import detections_path, is_detections, read_detections
from mobiledet.evaluation.images import images_of
from mobiledet.evaluation.result import Result, default_out, read_result
from mobiledet.evaluation.run import measure
from mobiledet.truth import ImageId
from mobiledet.versions.config import CompareConfig


@dataclass(frozen=True, eq=False)
class Version:
    """The detections of one version.

    Attributes:
        path: the path that the user gave.
        name: name of the model and its file, to print.
        labels: its class names.
        found: its detections by image id.
        images_sha256: sha256 of the images and their ground truth.
        result: result of the evaluation; None for a file of detections.
    """

    path: Path
    name: str
    labels: tuple[str, ...]
    found: Mapping[ImageId, Detections]
    images_sha256: str
    result: Result | None = None


def is_bundle(path: Path) -> bool:
    """Whether a path should be opened as a bundle: a folder or a zip."""
    return path.is_dir() or zipfile.is_zipfile(path)


def read_version(path: Path) -> Version:
    """Read a version from a result or a file of detections.

    Raises:
        UserError: the file does not exist or is damaged, or its detections are missing or of another evaluation.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}; give a result, its file of detections, or a bundle")
    if is_detections(path):
        origin, found = read_detections(path)
        return Version(path, f"{path.name}, {origin.file}", origin.labels, found, origin.images)
    result = read_result(path)
    if result.accuracy is None:
        raise UserError(f"{path} has no accuracy; evaluate {result.bundle} on annotated images")
    beside = detections_path(path)
    if not beside.is_file():
        raise UserError(f"{beside} is missing, the detections of {path.name}; keep both together, or evaluate again")
    origin, found = read_detections(beside)
    ours = (result.bundle_sha256, result.file.path, result.spec.labels, result.execution)
    if (origin.bundle, origin.file, origin.labels, origin.execution) != ours:
        raise UserError(f"{beside} does not belong to the evaluation in {path.name}; evaluate again")
    return _of_result(path, result, found)


def run_bundle(bundle: Bundle, config: CompareConfig, file: str, latency: bool, quiet: bool) -> Version:
    """Evaluate a bundle, as ``mobiledet evaluate`` does, and keep the result.

    Args:
        bundle: the opened bundle.
        config: options for device and images.
        file: name or precision of the model file.
        latency: whether to measure latency, too.
        quiet: show no progress.

    Raises:
        UserError: as in ``evaluation.run.measure``.
    """
    chosen = bundle.choose(file, config.accelerator, config.device)
    out = config.results / default_out(bundle, chosen, config.device).name
    shared = {field.name: getattr(config, field.name) for field in dataclasses.fields(ScoredImages)}
    settings = EvaluateConfig(
        bundle=bundle.path,
        device=config.device,
        token=config.token,
        file=file,
        accelerator=config.accelerator,
        threads=config.threads,
        latency=latency,
        out=out,
        fresh=config.fresh,
        **shared,
    )
    result = measure(settings, bundle, quiet=quiet)
    return _of_result(bundle.path, result, read_detections(detections_path(out))[1])


def images_options(config: CompareConfig, version: Version) -> ScoredImages | None:
    """The options by which the images of a version were read; None if they are not recorded."""
    accuracy = version.result.accuracy if version.result else None
    if accuracy is None or accuracy.source is None:
        return None
    return images_of(accuracy.source, str(version.path))


def exif_of(version: Version) -> Exif:
    """The rule for EXIF orientation with which the version's model was trained."""
    return version.result.spec.input.exif if version.result else "auto"


def scored_images(version: Version, dataset: DetectionSet) -> DetectionSet:
    """The images of a data set that a version was scored on.

    Raises:
        UserError: the version was scored on other images than those of the data set.
    """
    scored = dataclasses.replace(dataset, images=tuple(image for image in dataset.images if image.id in version.found))
    if len(scored.images) < len(version.found):
        known = {image.id for image in dataset.images}
        unknown = next(image_id for image_id in version.found if image_id not in known)
        if not scored.images:
            raise UserError(f"{version.path} and {dataset.annotations} have no image in common; give its --data")
        raise UserError(f"{version.path} was scored on image {unknown}, which {dataset.annotations} does not contain")
    # a file of detections has the checksum of all given images, a result that of the images that could be scored
    if version.images_sha256 not in (scored.sha256(), dataset.sha256()):
        raise UserError(
            f"{version.path} was scored on other images or annotations than those of {dataset.annotations} "
            f"(images_sha256 {version.images_sha256[:12]} is not {scored.sha256()[:12]}); give the --data, --split, "
            "--limit and --exif of that evaluation, or evaluate again"
        )
    return scored


def _of_result(path: Path, result: Result, found: Mapping[ImageId, Detections]) -> Version:
    assert result.accuracy
    name = f"{result.spec.name}, {result.file.path}"
    return Version(path, name, result.spec.labels, found, result.accuracy.images_sha256, result)
