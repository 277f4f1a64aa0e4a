"""``mobiledet export --app``: a bundle goes where the apps of apps/android and apps/ios, and others like them, look."""

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
    """How the apps of a platform take bundles.

    Attributes:
        formats: of the model files that they run; others would only make the app larger.
        sources: where a project, or a module of one, keeps what is packed into the app; the first that exists is taken.
        folder: below it, for bundles; the apps list it, so that a new one needs no other change.
        write: puts the files of a bundle there.
    """

    formats: tuple[str, ...]
    sources: tuple[str, ...]
    folder: str
    write: Callable[[Bundle, Path], None]


def folder_of_app(platform: str, project: Path) -> Path:
    """Where the bundles of a project go.

    Raises:
        UserError: ``project`` is none of this platform.
    """
    sources = PLATFORMS[platform].sources
    for source in sources:
        if (project / source).is_dir():
            return project / source / PLATFORMS[platform].folder
    expected = " or ".join(sources)
    raise UserError(f"{project} is no {platform} project: it has no folder {expected}; give one like apps/{platform}")


def install(bundle: Bundle, platform: str, project: Path) -> Path:
    """Put a bundle into a project, in place of an earlier one of the same name.

    Args:
        bundle: keeps the model files of the platform alone, with all golden cases.
        platform: a key of ``PLATFORMS``.
        project: of an app.

    Returns:
        what was written.

    Raises:
        UserError: ``project`` is none of this platform, the bundle holds no file for it, or it cannot be written.
    """
    folder, kind = folder_of_app(platform, project), PLATFORMS[platform]
    files = [file for file in bundle.files if file.format in kind.formats]
    if not files:
        raise UserError(
            f"{bundle.path} holds no {' or '.join(kind.formats)} file for {platform}; "
            f"export it with --format {kind.formats[0]}"
        )
    target = folder / f"{re.sub('[^A-Za-z0-9._-]+', '-', bundle.spec.name)}{SUFFIX}"
    with tempfile.TemporaryDirectory(prefix="mobiledet-app-") as work:
        kind.write(copy_bundle(bundle, Path(work) / target.name, files), target)
    return target


def _write_zip(bundle: Bundle, target: Path) -> None:
    """One file, because Android's assets are read one by one; stored, because weights hardly shrink."""
    with atomic_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(bundle.root).as_posix(), EPOCH)
            archive.writestr(entry, path.read_bytes())


def _write_folder(bundle: Bundle, target: Path) -> None:
    """A folder, because the files of Apple's formats are such."""
    with atomic_folder(target, overwrite=True) as temporary:
        for path in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
            copy = temporary / path.relative_to(bundle.root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


PLATFORMS = {
    "android": Platform(("tflite",), ("app/src/main", "src/main"), "assets/bundles", _write_zip),
    "ios": Platform(("coreml", "coreai"), ("App",), "Models", _write_folder),
}
