"""Make a Maven repository of the libraries, check it by Maven Central's rules, and use it; check.py calls this.

The POMs follow from what Gradle's build is given: apps/android/gradle.properties, the version catalogue, and each
module's build.gradle.kts. The rules are Central's requirements for publishing; a release's key makes the signatures.
"""

import hashlib
import re
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "http://maven.apache.org/POM/4.0.0"
CLASSES = "classes.jar"
REQUIRED = ("groupId", "artifactId", "version", "name", "description", "url")
NESTED = {
    "licenses/license": ("name", "url"),
    "developers/developer": ("name", "organization", "organizationUrl"),
    "scm": ("connection", "developerConnection", "url"),
}
SCOPES = {"api": "compile", "implementation": "runtime"}


@dataclass(frozen=True)
class Library:
    """A library of apps/android.

    Attributes:
        folder: its module.
        packaging: jar or aar.
        classes: jar of its compiled classes.
    """

    folder: Path
    packaging: str
    classes: Path

    @property
    def name(self) -> str:
        return self.folder.name


def publish(libraries: Sequence[Library], repository: Path) -> None:
    """Write each library with its POM, sources and checksums."""
    for library in libraries:
        pom = project_model(library)
        version = pom.findtext("version")
        assert version
        folder = repository.joinpath(*(pom.findtext("groupId") or "").split("."), library.name, version)
        folder.mkdir(parents=True)
        stem = folder / f"{library.name}-{version}"
        _write_library(library, Path(f"{stem}.{library.packaging}"))
        _zip_folder(Path(f"{stem}-sources.jar"), library.folder / "src" / "main" / "kotlin")
        # the rules want one; a library in Kotlin has none, its sources carry the documentation
        _zip_files(Path(f"{stem}-javadoc.jar"), {"README.md": (library.folder.parent / "README.md").read_bytes()})
        pom.set("xmlns", NAMESPACE)
        ElementTree.indent(pom)
        ElementTree.ElementTree(pom).write(f"{stem}.pom", encoding="utf-8", xml_declaration=True)
        for path in sorted(folder.iterdir()):
            for kind in ("md5", "sha1"):
                digest = hashlib.new(kind, path.read_bytes()).hexdigest()
                Path(f"{path}.{kind}").write_text(digest)


def project_model(library: Library) -> ElementTree.Element:
    """The POM of a library."""
    root = library.folder.parent
    properties = _properties(root)
    build = (library.folder / "build.gradle.kts").read_text()
    described = re.search(r'^description = "(.*)"$', build, re.M)
    pom = ElementTree.Element("project")
    for name, value in (
        ("modelVersion", "4.0.0"),
        ("groupId", properties["group"]),
        ("artifactId", library.name),
        ("version", properties["version"]),
        ("packaging", library.packaging),
        ("name", library.name),
        ("description", described[1] if described else ""),
        ("url", properties["pom.url"]),
    ):
        _add(pom, name, value)
    for path, names in NESTED.items():
        element = pom
        for name in path.split("/"):
            element = ElementTree.SubElement(element, name)
        for name in names:
            _add(element, name, properties[f"pom.{path.rpartition('/')[2]}.{name}"])
    dependencies = ElementTree.SubElement(pom, "dependencies")
    for group, artifact, version, scope in _dependencies(root, build, properties):
        dependency = ElementTree.SubElement(dependencies, "dependency")
        for name, value in (("groupId", group), ("artifactId", artifact), ("version", version), ("scope", scope)):
            _add(dependency, name, value)
        if (root / artifact / "src/main/AndroidManifest.xml").is_file():
            _add(dependency, "type", "aar")
    return pom


def problems(repository: Path) -> Iterator[str]:
    """What Maven Central would refuse, apart from the missing signatures."""
    poms = sorted(repository.rglob("*.pom"))
    if not poms:
        yield f"{repository} holds no library"
    for path in poms:
        try:
            pom = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            yield f"{path.name}: {error}"
            continue
        for problem in _model_problems(pom):
            yield f"{path.name}: {problem}"
        packaging = _text(pom, "packaging") or "jar"
        for ending in (f".{packaging}", "-sources.jar", "-javadoc.jar", ".pom"):
            file = Path(f"{path.with_suffix('')}{ending}")
            if not file.is_file():
                yield f"{file.name} is missing"
                continue
            for kind in ("md5", "sha1"):
                sum_file = Path(f"{file}.{kind}")
                if not sum_file.is_file() or sum_file.read_text() != hashlib.new(kind, file.read_bytes()).hexdigest():
                    yield f"{sum_file.name} is missing or wrong"


def consumer(repository: Path, root: Path, runtime: Sequence[tuple[str, str, str]]) -> ElementTree.Element:
    """The POM of an app that depends on mobiledet-coroutines alone, and through it on the others.

    Args:
        runtime: group, artifact and version of AARs with the classes of LiteRT, which is on Google's repository alone.
    """
    properties = _properties(root)
    pom = ElementTree.Element("project", xmlns=NAMESPACE)
    for name, value in (("modelVersion", "4.0.0"), ("groupId", "x"), ("artifactId", "x"), ("version", "1")):
        _add(pom, name, value)
    place = ElementTree.SubElement(ElementTree.SubElement(pom, "repositories"), "repository")
    _add(place, "id", "local")
    _add(place, "url", repository.as_uri())
    dependencies = ElementTree.SubElement(pom, "dependencies")
    wanted = (properties["group"], "mobiledet-coroutines", properties["version"])
    libraries = [(wanted, "com.google.ai.edge.litert"), *((name, "*") for name in runtime)]
    for (group, artifact, version), excluded in libraries:
        dependency = ElementTree.SubElement(dependencies, "dependency")
        for name, value in (("groupId", group), ("artifactId", artifact), ("version", version), ("type", "aar")):
            _add(dependency, name, value)
        exclusion = ElementTree.SubElement(ElementTree.SubElement(dependency, "exclusions"), "exclusion")
        _add(exclusion, "groupId", excluded)
        _add(exclusion, "artifactId", "*")
    return pom


def readme_code(readme: Path) -> str:
    """A Kotlin file with the README's blocks: a detector, a camera view in an activity, coroutines."""
    blocks = re.findall(r"^```kotlin\n(.*?)^```$", readme.read_text(), re.M | re.S)
    arguments = "context: Context, bitmap: Bitmap"
    heads = [
        f"fun detect({arguments}) {{",
        "class Screen : Activity() { fun start() {",
        f"suspend fun detectAll({arguments}, show: (List<Detection>) -> Unit) {{",
    ]
    imports = [
        "android.app.Activity",
        "android.content.Context",
        "android.graphics.Bitmap",
        "android.util.Log",
        "dev.mobiledet.android.*",
        "dev.mobiledet.coroutines.*",
    ]
    parts = [f"{head}\n{block}{'}' * head.count('{')}\n" for head, block in zip(heads, blocks, strict=True)]
    return "".join(f"import {name}\n" for name in imports) + "".join(parts)


def _properties(root: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.]+)=(.*)$", (root / "gradle.properties").read_text(), re.M))


def _model_problems(pom: ElementTree.Element) -> Iterator[str]:
    for name in REQUIRED:
        if not _text(pom, name):
            yield f"it has no {name}"
    if "SNAPSHOT" in _text(pom, "version"):
        yield "its version is a snapshot"
    for path, names in NESTED.items():
        for name in names:
            if not _text(pom, f"{path}/{name}"):
                yield f"it has no {path}/{name}"
    for dependency in pom.iterfind(f"{{{NAMESPACE}}}dependencies/{{{NAMESPACE}}}dependency"):
        if not all(_text(dependency, name) for name in ("groupId", "artifactId", "version")):
            yield f"its dependency {_text(dependency, 'artifactId')} lacks group, name or version"


def _dependencies(root: Path, build: str, properties: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Group, artifact, version and scope of what a build file needs; Kotlin's plugin adds its library by itself."""
    catalog = tomllib.loads((root / "gradle" / "libs.versions.toml").read_text())
    versions = catalog["versions"]
    yield "org.jetbrains.kotlin", "kotlin-stdlib", versions["kotlin"], "compile"
    line = r'^ +(api|implementation)\((?:project\(":(.+?)"\)|libs\.([\w.]+))\)'
    for how, project, library in re.findall(line, build, re.M):
        if project:
            yield properties["group"], project, properties["version"], SCOPES[how]
        else:
            entry = catalog["libraries"][library.replace(".", "-")]
            group, artifact = entry["module"].split(":")
            yield group, artifact, versions[entry["version"]["ref"]], SCOPES[how]


def _write_library(library: Library, out: Path) -> None:
    if library.packaging == "jar":
        out.write_bytes(library.classes.read_bytes())
        return
    manifest = ElementTree.parse(library.folder / "src" / "main" / "AndroidManifest.xml")
    namespace = re.search(r'namespace = "(.*)"', (library.folder / "build.gradle.kts").read_text())
    assert namespace
    manifest.getroot().set("package", namespace[1])
    files = {
        "AndroidManifest.xml": ElementTree.tostring(manifest.getroot(), encoding="utf-8"),
        CLASSES: library.classes.read_bytes(),
        "R.txt": b"",
    }
    rules = library.folder / "consumer-rules.pro"
    if rules.is_file():
        files["proguard.txt"] = rules.read_bytes()
    _zip_files(out, files)


def _zip_folder(out: Path, folder: Path) -> None:
    _zip_files(out, {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.kt"))})


def _zip_files(out: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _add(parent: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(parent, name).text = value


def _text(element: ElementTree.Element, path: str) -> str:
    return element.findtext("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")), "").strip()
