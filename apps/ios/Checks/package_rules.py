"""Check the manifest of the Swift package for what keeps it from being used by URL.

swift package dump-package | python apps/ios/Checks/package_rules.py .spi.yml

The rules are those of SwiftPM for packages that others depend on, and of the Swift Package Index. Exit status 1: a rule
is broken.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

LANGUAGE = "6"
# what .spi.yml may say of a build, after SPIManifest of the Swift Package Index
SPI_KEYS = {"platform", "swift_version", "image", "scheme", "target", "documentation_targets"}
SPI_BYTES = 1000  # it ignores larger files


def problems(package: dict[str, Any], index: Path) -> Iterator[str]:
    """A line for each rule that a manifest, as ``dump-package`` prints it, or ``.spi.yml`` breaks."""
    targets = {target["name"]: target for target in package["targets"]}
    if package["dependencies"]:
        yield "the package depends on others; users would have to trust them, too"
    if package["swiftLanguageVersions"] != [LANGUAGE]:
        yield f"the language modes are {package['swiftLanguageVersions']}, not [{LANGUAGE}]"
    for name, target in targets.items():
        for setting in target["settings"]:
            if "unsafeFlags" in setting["kind"]:
                yield f"{name} has unsafe flags, which SwiftPM refuses in packages by URL"
            if "swiftLanguageMode" in setting["kind"] and setting["kind"]["swiftLanguageMode"] != {"_0": LANGUAGE}:
                yield f"{name} is compiled in another language mode than {LANGUAGE}"
        if not (index.parent / str(target.get("path"))).is_dir():
            yield f"{name} has no folder: {target.get('path')}"
    libraries = [product for product in package["products"] if "library" in product["type"]]
    if not libraries:
        yield "there is no library product"
    yield from _index(index, {name for product in libraries for name in product["targets"]})


def _index(index: Path, public: set[str]) -> Iterator[str]:
    text = index.read_text(encoding="utf-8")
    if len(text.encode()) > SPI_BYTES:
        yield f"{index.name} is longer than {SPI_BYTES} bytes"
    described = yaml.safe_load(text)
    if described.get("version") != 1 or set(described) - {"version", "builder", "metadata", "external_links"}:
        yield f"{index.name} is not version 1, or has keys that the index does not know"
    for config in described["builder"]["configs"]:
        if set(config) - SPI_KEYS:
            yield f"{index.name}: {', '.join(sorted(set(config) - SPI_KEYS))} is no key of a build"
        for name in set(config.get("documentation_targets", [])) - public:
            yield f"{index.name} documents {name}, which no library product contains"


def main(arguments: list[str]) -> int:
    """Run the checks on standard input."""
    found = list(problems(json.load(sys.stdin), Path(arguments[0])))
    print("\n".join(found) or "nothing keeps the package from being used by URL, as far as its manifest shows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
