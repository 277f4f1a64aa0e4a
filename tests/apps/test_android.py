"""What apps/android says in several places agrees: Gradle's versions, those of its check, the manifest, the package."""

import importlib
import re
import shutil
import struct
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobiledet import __version__

ANDROID = "{http://schemas.android.com/apk/res/android}"
# of the Android Gradle plugin: the least Gradle, and the highest API that it knows (its release notes)
PLUGINS = {"8.13": ((8, 13), 36), "9.0": ((9, 1, 0), 36), "9.1": ((9, 3, 1), 36)}
STORE_API = 36  # what Google Play asks of new apps and updates since 2026-08-31
PAGE = 16 * 1024
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
    assert f"\nversion={__version__}\n" in (folder / "gradle.properties").read_text()


def test_the_manifests_name_classes_that_exist_and_guard_the_evaluation(folder: Path) -> None:
    build = (folder / "app" / "build.gradle.kts").read_text()
    namespace = re.search(r'namespace = "(.*)"', build)
    assert namespace
    assert f'applicationId = "{namespace[1]}"' in build
    declared = {}
    for module in ("app", "mobiledet-android", "mobiledet-coroutines"):
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


def test_gradle_is_new_enough_for_its_android_plugin(folder: Path) -> None:
    versions = tomllib.loads((folder / "gradle" / "libs.versions.toml").read_text())["versions"]
    least, highest = PLUGINS[versions["agp"].rpartition(".")[0]]
    wrapper = (folder / "gradle/wrapper/gradle-wrapper.properties").read_text()
    gradle = re.search(r"gradle-([\d.]+)-bin\.zip", wrapper)
    assert gradle
    assert tuple(map(int, gradle[1].split("."))) >= least
    assert STORE_API <= int(versions["compile-sdk"]) <= highest
    assert f"--gradle-version {gradle[1]} " in (folder / "README.md").read_text()
    build = (folder / "app" / "build.gradle.kts").read_text()
    assert "targetSdk = libs.versions.compile.sdk" in build
    assert re.search(r'abiFilters \+= listOf\("arm64-v8a", "x86_64"\)', build)


def test_resources_that_are_named_exist(folder: Path) -> None:
    resources = folder / "app/src/main/res"
    values = "".join(path.read_text() for path in resources.glob("values/*.xml"))
    named = set()
    for path in [folder / "app/src/main/AndroidManifest.xml", *resources.rglob("*.xml")]:
        ElementTree.parse(path)
        named |= set(re.findall(r'"@(\w+)/(\w+)"', path.read_text()))
    assert ("mipmap", "ic_launcher") in named
    for kind, name in named:
        assert f'<{kind} name="{name}"' in values or list(resources.glob(f"{kind}*/{name}.*")), (kind, name)


def _library(alignment: int, wide: bool = True) -> bytes:
    """The head of an ELF library with one loaded segment; a double, for no compiler for Android is here."""
    numbers = (3, 183, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9) + struct.pack("<HHIQQQIHHHHHH", *numbers)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 64, 64, alignment)


def _check_pages(folder: Path, *paths: Path) -> tuple[int, str]:
    command = [sys.executable, str(folder / "check" / "page_size.py"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_libraries_for_pages_of_4_kb_are_found(folder: Path, tmp_path: Path) -> None:
    def archive(name: str, library: bytes, place: int = PAGE) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as written:
            entry = zipfile.ZipInfo("lib/arm64-v8a/libx.so")
            spare = place - 30 - len(entry.filename) - 4
            entry.extra = struct.pack("<HH", 0xD935, spare) + bytes(spare)  # as zipalign fills it
            written.writestr(entry, library)
        return path

    good, packed = archive("good.apk", _library(PAGE)), archive("library.aar", _library(PAGE), PAGE + 4)
    assert _check_pages(folder, good, packed)[0] == 0
    assert _check_pages(folder, archive("old.apk", _library(4096, wide=False), 4096))[0] == 0
    status, told = _check_pages(folder, archive("small.apk", _library(4096)))
    assert (status, "small.apk: lib/arm64-v8a/libx.so: its segments are aligned to 4096" in told) == (1, True)
    status, told = _check_pages(folder, archive("moved.apk", _library(PAGE), PAGE + 4))
    assert (status, "it lies at byte 16388" in told) == (1, True)
    for name, content in (("noise.apk", b"noise"), ("missing.apk", None)):
        if content:
            (tmp_path / name).write_bytes(content)
        status, told = _check_pages(folder, tmp_path / name)
        assert (status, f"{name} cannot be read" in told) == (2, True)


def test_a_real_library_is_read_as_readelf_reads_it(folder: Path, tmp_path: Path) -> None:
    readelf = shutil.which("readelf")
    library = next(Path(np.__file__).parent.rglob("*.so"))
    if not readelf:
        pytest.skip("readelf is missing")
    told = subprocess.run([readelf, "-lW", str(library)], capture_output=True, text=True, check=True).stdout
    least = min(int(line.split()[-1], 16) for line in told.splitlines() if line.split()[:1] == ["LOAD"])
    with zipfile.ZipFile(tmp_path / "real.aar", "w", zipfile.ZIP_DEFLATED) as written:
        written.write(library, "jni/x86_64/libreal.so")
    status, found = _check_pages(folder, tmp_path / "real.aar")
    assert (status, f"aligned to {least} bytes" in found) == ((1, True) if least < PAGE else (0, False))


def _part_of_the_check(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module in apps/android/check, which is no part of the package."""
    monkeypatch.syspath_prepend(folder / "check")
    return importlib.import_module(name)


def test_the_merged_manifest_has_the_library_and_requires_no_camera(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apk = _part_of_the_check(folder, "apk", monkeypatch)
    root = apk.merged_manifest(folder, "dev.mobiledet.app").getroot()
    names = [element.attrib[f"{ANDROID}name"] for element in root.find("application")]
    assert {".MainActivity", "dev.mobiledet.android.ColdStartService", "libOpenCL.so"} <= set(names)
    # the permission implies this one, unless it is said to be optional
    features = {element.attrib[f"{ANDROID}name"]: element for element in root.findall("uses-feature")}
    assert features["android.hardware.camera"].attrib[f"{ANDROID}required"] == "false"
    assert list(apk.differences("package: name='another'", folder))[-1].startswith("it has no uses-permission")
    with pytest.raises(ValueError, match="no dex"):
        apk.class_names(b"no dex file at all")


@pytest.fixture
def maven(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return _part_of_the_check(folder, "maven", monkeypatch)


@pytest.fixture
def repository(folder: Path, maven: Any, tmp_path: Path) -> Path:
    """What is published, with a double for the compiled classes."""
    classes = tmp_path / "classes.jar"
    with zipfile.ZipFile(classes, "w"):
        pass
    kinds = {"mobiledet-core": "jar", "mobiledet-android": "aar", "mobiledet-coroutines": "aar"}
    libraries = [maven.Library(folder / name, packaging, classes) for name, packaging in kinds.items()]
    maven.publish(libraries, tmp_path / "repository")
    return tmp_path / "repository"


def test_what_is_published_meets_the_rules_of_maven_central(maven: Any, repository: Path) -> None:
    assert list(maven.problems(repository)) == []
    folder = repository / "dev" / "mobiledet" / "mobiledet-android" / __version__
    pom = ElementTree.parse(folder / f"mobiledet-android-{__version__}.pom")
    needed = {
        dependency.findtext(f"{POM}artifactId"): dependency.findtext(f"{POM}scope")
        for dependency in pom.iter(f"{POM}dependency")
    }
    assert needed == {
        "kotlin-stdlib": "compile",
        "mobiledet-core": "compile",
        "litert": "runtime",
        "litert-api": "compile",
        "litert-gpu": "runtime",
        "litert-gpu-api": "runtime",
    }
    with zipfile.ZipFile(folder / f"mobiledet-android-{__version__}.aar") as library:
        assert {"AndroidManifest.xml", "classes.jar", "proguard.txt"} <= set(library.namelist())
        assert b'package="dev.mobiledet.android"' in library.read("AndroidManifest.xml")
    with zipfile.ZipFile(folder / f"mobiledet-android-{__version__}-sources.jar") as sources:
        assert "dev/mobiledet/android/Detector.kt" in sources.namelist()


@pytest.mark.parametrize("tag", ["description", "url", "licenses", "developers", "scm"])
def test_a_pom_that_maven_central_refuses_is_noticed(maven: Any, repository: Path, tag: str) -> None:
    path = next(repository.rglob("mobiledet-core-*.pom"))
    tree = ElementTree.parse(path)
    root = tree.getroot()
    element = root.find(f"{POM}{tag}")
    assert element is not None
    root.remove(element)
    tree.write(path)
    found = list(maven.problems(repository))
    assert any(f"it has no {tag}" in line for line in found)
    assert any("pom.md5 is missing or wrong" in line for line in found)


def test_a_missing_file_of_a_library_is_noticed(maven: Any, repository: Path) -> None:
    next(repository.rglob("mobiledet-core-*-sources.jar")).unlink()
    assert list(maven.problems(repository)) == [f"mobiledet-core-{__version__}-sources.jar is missing"]
