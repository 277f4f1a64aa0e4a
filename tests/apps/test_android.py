"""What apps/android says in several places agrees: Gradle's versions, those of its check, the manifest, the package."""

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from mobiledet import __version__

ANDROID = "{http://schemas.android.com/apk/res/android}"
POM = "{http://maven.apache.org/POM/4.0.0}"


@pytest.fixture(scope="module")
def folder(project_root: Path) -> Path:
    return project_root / "apps" / "android"


def test_the_check_uses_the_versions_of_the_build(folder: Path) -> None:
    catalog = tomllib.loads((folder / "gradle" / "libs.versions.toml").read_text())
    versions = catalog["versions"]
    built = {library["module"]: versions[library["version"]["ref"]] for library in catalog["libraries"].values()}
    built["org.jetbrains.kotlin:kotlin-stdlib"] = built["org.jetbrains.kotlin:kotlin-compiler-embeddable"] = versions[
        "kotlin"
    ]
    shared = set()
    for dependency in ElementTree.parse(folder / "check" / "pom.xml").iter(f"{POM}dependency"):
        group, artifact, version = (dependency.findtext(f"{POM}{tag}") for tag in ("groupId", "artifactId", "version"))
        name = f"{group}:{artifact}"
        if name in built:
            assert version == built[name], name
            shared.add(name)
    assert {"com.google.code.gson:gson", "junit:junit", "org.jetbrains.kotlin:kotlin-stdlib"} <= shared


def test_the_app_has_the_version_of_the_package(folder: Path) -> None:
    source = (folder / "app/src/main/kotlin/dev/mobiledet/app/EvalActivity.kt").read_text()
    build = (folder / "app" / "build.gradle.kts").read_text()
    assert f'PROGRAM = "mobiledet android {__version__}"' in source
    assert f'versionName = "{__version__}"' in build


def test_the_manifests_name_classes_that_exist_and_guard_the_evaluation(folder: Path) -> None:
    build = (folder / "app" / "build.gradle.kts").read_text()
    namespace = re.search(r'namespace = "(.*)"', build)
    assert namespace
    assert f'applicationId = "{namespace[1]}"' in build
    declared = {}
    for module in ("app", "mobiledet-android"):
        root = ElementTree.parse(folder / module / "src" / "main" / "AndroidManifest.xml").getroot()
        for element in root.iter():
            if element.tag in ("activity", "service"):
                name = element.attrib[f"{ANDROID}name"]
                name = f"{namespace[1]}{name}" if name.startswith(".") else name
                assert (folder / module / "src/main/kotlin" / f"{name.replace('.', '/')}.kt").is_file(), name
                declared[name] = element.attrib
    evaluation = declared["dev.mobiledet.app.EvalActivity"]
    assert evaluation[f"{ANDROID}exported"] == "true"
    assert evaluation[f"{ANDROID}permission"] == "android.permission.DUMP"
    for source in (folder / "app/src/main/kotlin").rglob("*Activity.kt"):
        assert f"dev.mobiledet.app.{source.stem}" in declared
