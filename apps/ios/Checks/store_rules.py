"""Check project.yml for what the App Store would refuse at upload.

python apps/ios/Checks/store_rules.py [project.yml]

The rules are those of App Store Connect that show in a project's text: Xcode, orientations, icon, texts of permissions,
versions, launch screen, privacy manifest. Exit status 1: a rule is broken.
"""

import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PORTRAIT, UPSIDE_DOWN = "UIInterfaceOrientationPortrait", "UIInterfaceOrientationPortraitUpsideDown"
ALL = {PORTRAIT, UPSIDE_DOWN, "UIInterfaceOrientationLandscapeLeft", "UIInterfaceOrientationLandscapeRight"}
IPAD = "2"  # among the families of devices
ICON_SIDE = 1024
OLDEST_XCODE = 26  # of uploads since 28 April 2026
RGB = 2  # colour type of a PNG file: no transparency, no palette
# permission texts, by terms in the sources that need them
PERMISSIONS = {
    "NSCameraUsageDescription": r"AVCaptureDevice\b",
    "NSMicrophoneUsageDescription": r"for: \.audio",
    "NSPhotoLibraryUsageDescription": r"PHPhotoLibrary\b",
    "NSLocationWhenInUseUsageDescription": r"CLLocationManager\b",
}
SHORTEST_REASON = 20  # letters: reviewers refuse "camera"


def problems(project: Path) -> Iterator[str]:
    """A line for each rule that an application of the project breaks."""
    described = yaml.safe_load(project.read_text(encoding="utf-8"))
    xcode = str(described.get("options", {}).get("xcodeVersion", "0"))
    if int(xcode.partition(".")[0]) < OLDEST_XCODE:
        yield f"options.xcodeVersion is not {OLDEST_XCODE} or later; uploads of older ones are refused"
    for name, target in described["targets"].items():
        if target["type"] == "application":
            yield from (f"{name}: {problem}" for problem in _target(project.parent, target))


def _target(folder: Path, target: dict[str, Any]) -> Iterator[str]:
    info, settings = target["info"]["properties"], target["settings"]["base"]
    paths = [folder / (source["path"] if isinstance(source, dict) else source) for source in target["sources"]]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*"))]
    yield from _orientations(info, settings)
    yield from _icon(files, settings)
    # what the app links asks for permissions, too
    linked = [folder / "Sources" / dependency["product"] for dependency in target["dependencies"]]
    files += [file for product in linked for file in product.rglob("*.swift")]
    sources = "\n".join(file.read_text(encoding="utf-8") for file in files if file.suffix == ".swift")
    for key, words in PERMISSIONS.items():
        if re.search(words, sources) and len(str(info.get(key, ""))) < SHORTEST_REASON:
            yield f"{key} does not say what for, and the sources ask for it"
    if "UILaunchScreen" not in info and "UILaunchStoryboardName" not in info:
        yield "there is no launch screen"
    if "ITSAppUsesNonExemptEncryption" not in info:
        yield "ITSAppUsesNonExemptEncryption is missing: each upload would ask for it"
    if not re.fullmatch(r"\d+(\.\d+){0,2}", str(settings.get("MARKETING_VERSION", ""))):
        yield "MARKETING_VERSION is not one to three numbers"
    if not re.fullmatch(r"\d+(\.\d+){0,2}", str(settings.get("CURRENT_PROJECT_VERSION", ""))):
        yield "CURRENT_PROJECT_VERSION is not one to three numbers"
    if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", str(settings.get("PRODUCT_BUNDLE_IDENTIFIER", ""))):
        yield "PRODUCT_BUNDLE_IDENTIFIER is no identifier such as org.example.app"
    if not list(folder.rglob("PrivacyInfo.xcprivacy")):
        yield "there is no PrivacyInfo.xcprivacy"


def _orientations(info: dict[str, Any], settings: dict[str, Any]) -> Iterator[str]:
    phone = set(info.get("UISupportedInterfaceOrientations", []))
    pad = set(info.get("UISupportedInterfaceOrientations~ipad", phone))
    if not phone or not phone <= ALL:
        yield "UISupportedInterfaceOrientations names none, or one that there is not"
    if IPAD in str(settings.get("TARGETED_DEVICE_FAMILY", "")).split(",") and pad != ALL:
        yield f"on iPad {', '.join(sorted(ALL - pad))} are missing; beside others an app stands in all four"


def _icon(files: list[Path], settings: dict[str, Any]) -> Iterator[str]:
    name = settings.get("ASSETCATALOG_COMPILER_APPICON_NAME")
    sets = [file for file in files if file.name == "Contents.json" and file.parent.name == f"{name}.appiconset"]
    if not name or not sets:
        yield "there is no icon: ASSETCATALOG_COMPILER_APPICON_NAME names no set among the sources"
        return
    images = json.loads(sets[0].read_text(encoding="utf-8"))["images"]
    large = [image.get("filename") for image in images if image.get("size") == f"{ICON_SIDE}x{ICON_SIDE}"]
    path = sets[0].parent / str(large[0] if large else "")
    if not path.is_file():
        yield f"the icon has no picture of {ICON_SIDE} x {ICON_SIDE} pixels"
        return
    width, height, depth, kind = struct.unpack(">IIBB", path.read_bytes()[16:26])
    if (width, height, depth, kind) != (ICON_SIDE, ICON_SIDE, 8, RGB):
        yield f"{path.name} must be {ICON_SIDE} x {ICON_SIDE} pixels in RGB of 8 bits, without transparency"


def main(arguments: list[str]) -> int:
    project = Path(arguments[0]) if arguments else Path(__file__).parents[1] / "project.yml"
    found = list(problems(project))
    print("\n".join(found) or "no rule of the store is broken, as far as the project file shows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
