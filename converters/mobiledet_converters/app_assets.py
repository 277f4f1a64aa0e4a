"""``mobiledet export --app``: copies a bundle into the folder where an Android or iOS app loads bundles from."""

import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mobiledet.bundle import SUFFIX, Bundle, copy_bundle
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file, atomic_folder

EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Platform:
    """How the apps of a platform store bundles.

    Attributes:
        formats: formats of the model files that they can run; other files would only make the app larger.
        sources: candidates for the source folder of a project or of one of its modules; the first that exists is used.
        folder: subfolder for bundles; the apps list its content, so that a new bundle needs no other change.
        write: writes the files of a bundle there.
    """

    formats: tuple[str, ...]
    sources: tuple[str, ...]
    folder: str
    write: Callable[[Bundle, Path], None]


def folder_of_app(platform: str, project: Path) -> Path:
    """The folder for bundles in a project.

    Raises:
        UserError: ``project`` is not a project of this platform.
    """
    sources = PLATFORMS[platform].sources
    for source in sources:
        if (project / source).is_dir():
            return project / source / PLATFORMS[platform].folder
    expected = " or ".join(sources)
    raise UserError(
        f"{project} is not an {platform} project: it has no folder {expected}; give one like apps/{platform}"
    )


def install(bundle: Bundle, platform: str, project: Path) -> Path:
    """Copy a bundle into a project, replacing an earlier one of the same name.

    Args:
        bundle: only its model files for this platform are copied, with all golden cases.
        platform: a key of ``PLATFORMS``.
        project: folder of the app's project.

    Returns:
        the path of the copy.

    Raises:
        UserError: ``project`` is not a project of this platform, the bundle has no file for it, or the copy cannot be
            written.
    """
    folder, kind = folder_of_app(platform, project), PLATFORMS[platform]
    files = [file for file in bundle.files if file.format in kind.formats]
    if not files:
        raise UserError(
            f"{bundle.path} contains no {' or '.join(kind.formats)} file for {platform}; "
            f"export it with --format {kind.formats[0]}"
        )
    target = folder / f"{re.sub('[^A-Za-z0-9._-]+', '-', bundle.spec.name)}{SUFFIX}"
    with tempfile.TemporaryDirectory(prefix="mobiledet-app-") as work:
        kind.write(copy_bundle(bundle, Path(work) / target.name, files), target)
    return target


def _write_zip(bundle: Bundle, target: Path) -> None:
    """Write one file, because Android reads assets one by one; uncompressed, because weights hardly shrink."""
    with atomic_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(bundle.root).as_posix(), EPOCH)
            archive.writestr(entry, path.read_bytes())


def _write_folder(bundle: Bundle, target: Path) -> None:
    """Write a folder, because model files in Apple's formats are folders."""
    with atomic_folder(target, overwrite=True) as temporary:
        for path in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
            copy = temporary / path.relative_to(bundle.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


PLATFORMS = {
    "android": Platform(("tflite",), ("app/src/main", "src/main"), "assets/bundles", _write_zip),
    "ios": Platform(("coreml", "coreai"), ("App",), "Models", _write_folder),
}
