"""Build the app as a signed APK without an Android SDK, and check it; check.py calls this.

It has the classes that check.py compiled, made into a dex file by dx, the resources and the merged manifest by Debian's
aapt2, and TensorFlow Lite's libraries for arm64 of Maven Central, which have the classes of LiteRT. It is for phones
that are connected by cable (`mobiledet evaluate --device adb --apk`): Gradle's build is the one for stores.
"""

import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from pathlib import Path

import page_size

PROGRAMS = ("aapt2", "zipalign", "apksigner", "keytool")
INSTALL = "apt-get install aapt zipalign apksigner"
ABI = "arm64-v8a"
MODULES = ("app", "mobiledet-android")
ANDROID = "{http://schemas.android.com/apk/res/android}"
PASSWORD = "android"  # of debug keys everywhere
MB = 1e6


def missing_tools() -> list[str]:
    return [program for program in PROGRAMS if not shutil.which(program)]


def build(
    out: Path, project: Path, classes: Sequence[Path], libraries: Sequence[Path], platform: Path, dex: Sequence[Path]
) -> Path:
    """Write a signed APK.

    Args:
        out: the APK.
        project: apps/android.
        classes: jars of everything that the app contains.
        libraries: AARs with native libraries.
        platform: jar with Android's resources.
        dex: jars of dx.
    """
    settings = (project / "app" / "build.gradle.kts").read_text()
    versions = (project / "gradle" / "libs.versions.toml").read_text()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        manifest = work / "AndroidManifest.xml"
        merged = merged_manifest(project, _value(settings, "applicationId"))
        merged.write(manifest, encoding="utf-8", xml_declaration=True)
        _run(["aapt2", "compile", "--dir", str(project / "app/src/main/res"), "-o", str(work / "resources.zip")])
        linked = work / "linked.apk"
        options = {
            "-I": str(platform),
            "--manifest": str(manifest),
            "--min-sdk-version": _value(versions, "min-sdk"),
            "--target-sdk-version": _value(versions, "compile-sdk"),
            "--version-code": _value(settings, "versionCode"),
            "--version-name": _value(settings, "versionName"),
            "-0": ".mobiledet",  # weights hardly compress
            "-o": str(linked),
        }
        assets = project / "app" / "src" / "main" / "assets"
        if assets.is_dir():
            options["-A"] = str(assets)
        flat = [word for option in options.items() for word in option]
        # Debian's aapt2 is of Android 10 and does not know the elements of later ones
        _run(["aapt2", "link", *flat, "--warn-manifest-validation", str(work / "resources.zip")])
        merged_classes = work / "classes.jar"
        merge_classes(classes, merged_classes)
        dx = ["java", "-Xmx2g", "-cp", ":".join(map(str, dex)), "com.android.dx.command.Main", "--dex"]
        least = f"--min-sdk-version={_value(versions, 'min-sdk')}"
        _run([*dx, least, f"--output={work / 'classes.dex'}", str(merged_classes)])
        with zipfile.ZipFile(linked, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.write(work / "classes.dex", "classes.dex")
            for library in libraries:
                with zipfile.ZipFile(library) as content:
                    for entry in content.namelist():
                        if entry.startswith(f"jni/{ABI}/"):
                            archive.writestr(f"lib/{ABI}/{Path(entry).name}", content.read(entry), zipfile.ZIP_STORED)
        aligned = work / "aligned.apk"
        _run(["zipalign", "-p", "4", str(linked), str(aligned)])
        key = debug_key(out.parent)
        sign = ["apksigner", "sign", "--ks", str(key), "--ks-pass", f"pass:{PASSWORD}"]
        _run([*sign, "--out", str(out), str(aligned)])
    return out


def merged_manifest(project: Path, package: str) -> ElementTree.ElementTree:
    """The app's manifest with what the library adds to it, as Gradle's plugin merges them."""
    ElementTree.register_namespace("android", ANDROID.strip("{}"))
    app, library = (ElementTree.parse(project / name / "src/main/AndroidManifest.xml") for name in MODULES)
    root = app.getroot()
    root.set("package", package)
    application = root.find("application")
    assert application is not None
    for element in library.getroot():
        if element.tag == "application":
            application.extend(list(element))
        else:
            root.append(element)
    return app


def merge_classes(jars: Sequence[Path], out: Path) -> None:
    """Copy the classes of some jars into one, without those for newer versions of Java and descriptions of modules."""
    with zipfile.ZipFile(out, "w") as merged:
        for jar in jars:
            with zipfile.ZipFile(jar) as content:
                for name in content.namelist():
                    if name.endswith(".class") and not name.startswith("META-INF/") and name != "module-info.class":
                        merged.writestr(name, content.read(name))


def debug_key(folder: Path) -> Path:
    """A key of this machine; made once, so that a later APK replaces an earlier one on a phone."""
    key = folder / "debug.keystore"
    if not key.exists():
        name = ["-dname", "CN=Android Debug,O=Android,C=US", "-alias", "androiddebugkey", "-validity", "10000"]
        algorithm = ["-keyalg", "RSA", "-keysize", "2048", "-storepass", PASSWORD, "-keypass", PASSWORD]
        _run(["keytool", "-genkeypair", "-keystore", str(key), *name, *algorithm])
    return key


def check(path: Path, project: Path) -> None:
    """Exit unless the APK is signed, aligned, and contains what the project names; print its size."""
    _run(["apksigner", "verify", "--min-sdk-version", "26", str(path)])
    _run(["zipalign", "-c", "-p", "4", str(path)])
    described = _run(["aapt2", "dump", "badging", str(path)])
    wrong = list(differences(described, project))
    with zipfile.ZipFile(path) as archive:
        held = class_names(archive.read("classes.dex"))
        unpacked = sum(entry.file_size for entry in archive.infolist())
    root = merged_manifest(project, "").getroot()
    components = [element.attrib[f"{ANDROID}name"] for element in root.iter() if element.tag in ("activity", "service")]
    package = _value((project / "app" / "build.gradle.kts").read_text(), "applicationId")
    for name in components:
        full = f"{package}{name}" if name.startswith(".") else name
        if full not in held:
            wrong.append(f"the manifest names {full}, which is not in the dex file")
    if wrong:
        sys.exit("\n".join(f"android: {path.name}: {line}" for line in wrong))
    size = path.stat().st_size / MB
    print(f"android: {path}: signed, {size:.1f} MB, {unpacked / MB:.1f} MB unpacked, {len(held)} classes, {ABI}")
    small_pages = list(page_size.problems(path))
    if small_pages:
        print("\n".join(f"android: {problem}" for problem in small_pages))
        print("android: so it is for side-loading alone; the libraries for stores are LiteRT's, which Gradle takes")


def differences(described: str, project: Path) -> list[str]:
    """Where `aapt2 dump badging` differs from the project's sources."""
    settings = (project / "app" / "build.gradle.kts").read_text()
    versions = (project / "gradle" / "libs.versions.toml").read_text()
    package, code, name = (_value(settings, key) for key in ("applicationId", "versionCode", "versionName"))
    expected = [
        f"package: name='{package}' versionCode='{code}' versionName='{name}'",
        f"sdkVersion:'{_value(versions, 'min-sdk')}'",
        f"targetSdkVersion:'{_value(versions, 'compile-sdk')}'",
        f"launchable-activity: name='{package}.MainActivity'",
        f"native-code: '{ABI}'",
        *(
            f"uses-permission: name='{element.attrib[f'{ANDROID}name']}'"
            for element in merged_manifest(project, package).getroot().findall("uses-permission")
        ),
    ]
    required = re.findall(r"uses-feature: name='(android\.hardware\.camera.*)'", described)
    return [
        *(f"it has no {line}" for line in expected if line not in described),
        *(f"it requires {feature}, but also runs on phones without a camera" for feature in required),
    ]


def class_names(dex: bytes) -> set[str]:
    """The classes that a dex file defines (its format: Dalvik Executable format, header and class_defs)."""
    if dex[:4] != b"dex\n":
        raise ValueError("is no dex file")
    strings, types, classes = (struct.unpack_from("<II", dex, offset) for offset in (56, 64, 96))

    def text(index: int) -> str:
        (place,) = struct.unpack_from("<I", dex, strings[1] + 4 * index)
        while dex[place] & 0x80:  # the length, in ULEB128
            place += 1
        return dex[place + 1 : dex.index(b"\0", place + 1)].decode(errors="replace")

    names = set()
    for row in range(classes[0]):
        (kind,) = struct.unpack_from("<I", dex, classes[1] + 32 * row)
        (name,) = struct.unpack_from("<I", dex, types[1] + 4 * kind)
        names.add(text(name)[1:-1].replace("/", "."))
    return names


def _value(source: str, key: str) -> str:
    found = re.search(rf'^\s*{key} = "?([^"\n]+)"?$', source, re.M)
    assert found, key
    return found[1]


def _run(command: Sequence[str]) -> str:
    """What a program prints; exit with its words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"android: {' '.join(command[:2])} fails:\n{done.stdout}{done.stderr}")
    return done.stdout
