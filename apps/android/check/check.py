"""Compile apps/android and run everything that works without a phone; `make test-android` calls this.

Kotlin's compiler and all libraries are downloaded from Maven Central to ~/.cache/mobiledet/android. The core is
compiled for the oldest supported Android, its tests run on the JVM with the vectors of apps/testdata, and its agent
is tested with the conformance and fault tests. The Android part is compiled against the classes of Android and
TensorFlow Lite, and run as far as Robolectric supports it.

Exit status 3, after one line: the tools cannot be had here (no JDK, no Maven, no network), so nothing was checked.
"""

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import apk
import flatbuffers
import maven
from ai_edge_litert import schema_py_generated as schema
from replay import Replay

HERE = Path(__file__).resolve().parent
ANDROID = HERE.parent
APPS = ANDROID.parent
TESTDATA = APPS / "testdata"
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
OLD_JAVA = "8"  # the Java classes of Android 8
PARTS = ("core", "shell", "apk", "maven")
LIBRARIES = ("mobiledet-android", "mobiledet-coroutines")
# the classes of LiteRT 1.x, which is not on Maven Central
RUNTIME = [("org.tensorflow", f"tensorflow-lite{end}", "2.16.1") for end in ("", "-api")]
# Android lacks the class that makes lambdas at run time; Gradle's plugin replaces it later
CLASSES = ("-Xlambdas=class", "-Xsam-conversions=class")
JDK = 17
UNAVAILABLE = 3  # exit status
DOWNLOAD_SECONDS = 600
# what Maven says if a repository does not answer; one that answers, but has no such library, is a mistake in pom.xml
OFFLINE = re.compile(
    r"(Could not transfer|failed to transfer|Cannot access .* in offline mode|No plugin found) .{0,160}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="check only one part")
    only = parser.parse_args().only
    require_tools()
    parts = (only,) if only else PARTS
    check = Check(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mobiledet" / "android")
    core = check.core()
    if "core" in parts:
        check.core_tests(core)
    shell = check.shell(core) if parts != ("core",) else []
    if "shell" in parts:
        check.shell_tests(core, shell)
    if "apk" in parts:
        check.apk(core, shell)
    if "maven" in parts:
        check.maven(core, shell)
    print("android: all checks pass")


class Check:
    """The steps; libraries and compiled classes are kept in the cache folder."""

    def __init__(self, cache: Path) -> None:
        pom = HERE / "pom.xml"
        self.libraries = cache / f"lib-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
        self.out = cache / "out"
        self.out.mkdir(parents=True, exist_ok=True)

    def core(self) -> Path:
        """Compile mobiledet-core; any warning is an error."""
        out = self.out / "mobiledet-core.jar"
        sources = ANDROID / "mobiledet-core" / "src" / "main"
        strict = ["-Werror", "-Xexplicit-api=strict"]
        self.compile(out, [sources], self.jars("core"), [f"-Xjdk-release={OLD_JAVA}", *strict])
        return out

    def core_tests(self, core: Path) -> None:
        """Run the unit tests and vectors, then the conformance suite against the agent."""
        out = self.out / "mobiledet-core-test.jar"
        classes = [core, *self.jars("core"), *self.jars("test")]
        tests = ANDROID / "mobiledet-core" / "src" / "test"
        self.compile(out, [tests], classes, [f"-Xfriend-paths={core}"])
        with tempfile.TemporaryDirectory() as folder:
            write_models(Path(folder))
            self.junit([out, *classes], [tests], [f"-Dmobiledet.tflite={folder}"])
        self.agent_tests([out, *classes])

    def agent_tests(self, class_path: Sequence[Path]) -> None:
        """Test conformance, faults and images of all sizes, against the agent in a separate process."""
        program = ["java", "-cp", joined(class_path), "dev.mobiledet.core.agent.ReplayAgentKt"]
        os.environ["MOBILEDET_REPLAY_AGENT"] = shlex.join(program)
        tests = APPS.parent / "tests" / "devices" / "agent" / "test_replay_agents.py"
        run([sys.executable, "-m", "pytest", "-q", f"--rootdir={APPS.parent}", str(tests)])
        for bundle in ("good", "letterbox.zip"):
            self.pictures(program, TESTDATA / "bundles" / bundle)
        print("android: images of all sizes give the host's boxes, stretched and in a letterbox")

    def pictures(self, program: Sequence[str], bundle: Path) -> None:
        """Send images of all sizes to the agent, whose model is a double."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            replay = Replay(bundle, folder)
            (folder / "recordings.json").write_text(replay.recordings(TESTDATA / "recordings.json"))
            arguments = ["--recordings", str(folder / "recordings.json"), "--cache", str(folder / "agent")]
            with subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, text=True) as agent:
                try:
                    assert agent.stdout
                    url, token = (agent.stdout.readline().split()[1].rstrip(",") for _ in range(2))
                    differences = list(replay.differences(url, token))
                finally:
                    agent.terminate()
        if differences:
            sys.exit("\n".join(differences))

    def shell(self, core: Path) -> list[Path]:
        """Compile the Android libraries and the app against Android's classes; any warning is an error."""
        classes = [core, *self.jars("core"), *self.jars("shell"), *self.jars("coroutines")]
        options = [f"-Xjdk-release={OLD_JAVA}", "-Werror", "-Xexplicit-api=strict"]
        compiled = []
        for name in (*LIBRARIES, "app"):
            out = self.out / f"{name}.jar"
            self.compile(out, [ANDROID / name / "src" / "main"], [*compiled, *classes], options)
            compiled.append(out)
        return compiled

    def shell_tests(self, core: Path, shell: Sequence[Path]) -> None:
        """Run the tests in Robolectric that need neither LiteRT's library nor a camera."""
        out = self.out / "android-test.jar"
        tests = [ANDROID / path.stem / "src" / "test" for path in shell]
        names = ("core", "coroutines", "robolectric", "test", "shell")
        robolectric = [*shell, core, *(path for name in names for path in self.jars(name))]
        friends = ",".join(map(str, shell))
        self.compile(out, tests, robolectric, [f"-Xfriend-paths={friends}"])
        with tempfile.TemporaryDirectory() as folder:
            self.configure(Path(folder))
            sdk = self.jars("robolectric-sdk")[0].parent
            options = ["-Drobolectric.offline=true", f"-Drobolectric.dependency.dir={sdk}"]
            if screenshots := os.environ.get("MOBILEDET_SCREENSHOTS"):
                options.append(f"-Dmobiledet.screenshots={Path(screenshots).resolve()}")
            # Java 17 reads the classes of Android 14, not those of 16 that the compiler was given
            platform = [path for path in self.jars("robolectric-platform") if path.name.startswith("android-all")]
            libraries = [path for path in robolectric if not path.name.startswith("android-all")]
            for module in tests:  # each in a process of its own, as Gradle does
                self.junit([Path(folder), out, *libraries, *platform], [module], options)

    def apk(self, core: Path, shell: Sequence[Path]) -> None:
        """Build a signed APK from the compiled classes and check it, if Debian's tools are there."""
        missing = apk.missing_tools()
        if missing:
            print(f"android: no APK is built: {', '.join(missing)} missing; {apk.INSTALL}")
            return
        # the app does not use mobiledet-coroutines
        classes = [core, *(path for path in shell if path.stem != "mobiledet-coroutines"), *self.jars("core")]
        libraries = self.jars("shell")
        platform = next(path for path in self.jars("robolectric-platform") if path.name.startswith("android-all"))
        built = apk.build(
            self.out / "mobiledet.apk",
            ANDROID,
            [*classes, *(path for path in libraries if not path.name.startswith("android-all"))],
            sorted(libraries[0].parent.glob("*.aar")),
            platform,
            self.jars("dex"),
        )
        apk.check(built, ANDROID)

    def maven(self, core: Path, shell: Sequence[Path]) -> None:
        """Publish the libraries into a repository, check it, and compile the README's code against it."""
        repository = self.out / "repository"
        shutil.rmtree(repository, ignore_errors=True)
        libraries = [maven.Library(ANDROID / path.stem, "aar", path) for path in shell if path.stem in LIBRARIES]
        maven.publish([maven.Library(ANDROID / core.stem, "jar", core), *libraries], repository)
        if wrong := list(maven.problems(repository)):
            sys.exit("\n".join(wrong))
        cached = Path.home() / ".m2" / "repository" / "dev" / "mobiledet"
        shutil.rmtree(cached, ignore_errors=True)  # of an earlier check
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            pom = maven.consumer(repository, ANDROID, RUNTIME)
            (folder / "pom.xml").write_bytes(ElementTree.tostring(pom))
            self.fetch(folder / "pom.xml", folder / "libraries")
            resolved = sorted((folder / "libraries").glob("*.jar"))
            source = folder / "src" / "App.kt"
            source.parent.mkdir()
            source.write_text(maven.readme_code(ANDROID / "README.md"))
            platform = [path for path in self.jars("shell") if path.name.startswith("android-all")]
            self.compile(folder / "app.jar", [source.parent], [*resolved, *platform], [])
        shutil.rmtree(cached, ignore_errors=True)
        print(f"android: {repository}: Maven Central's rules are met but for signatures; the README's code compiles")

    def configure(self, folder: Path) -> None:
        """Tell Robolectric the location of the manifest, as the Android Gradle plugin would."""
        settings = folder / "com" / "android" / "tools" / "test_config.properties"
        settings.parent.mkdir(parents=True)
        manifest = ANDROID / "app" / "src" / "main" / "AndroidManifest.xml"
        settings.write_text(f"android_merged_manifest={manifest}\nandroid_custom_package=dev.mobiledet.app\n")

    def compile(self, out: Path, sources: Sequence[Path], class_path: Sequence[Path], options: Sequence[str]) -> None:
        """Compile every Kotlin file under some folders into a jar."""
        files = [str(path) for folder in sources for path in sorted(folder.rglob("*.kt"))]
        print(f"android: compile {out.stem}, {len(files)} files", flush=True)
        tools = ["-Xmx1g", "-cp", joined(self.jars("compiler")), COMPILER, "-no-stdlib", "-no-reflect"]
        target = [*CLASSES, "-jvm-target", "1.8", "-module-name", out.stem, "-cp", joined(class_path), "-d", str(out)]
        run(["java", *tools, *target, *options, *files])

    def junit(self, class_path: Sequence[Path], tests: Sequence[Path], options: Sequence[str] = ()) -> None:
        """Run every class ...Test under some folders."""
        roots = [folder / "kotlin" for folder in tests]
        names = [path.relative_to(root).with_suffix("") for root in roots for path in sorted(root.rglob("*Test.kt"))]
        classes = [".".join(name.parts) for name in names]
        properties = [f"-Dmobiledet.testdata={TESTDATA}", *options]
        run(["java", *properties, "-cp", joined(class_path), "org.junit.runner.JUnitCore", *classes])

    def jars(self, profile: str) -> list[Path]:
        """The libraries of a profile in pom.xml, downloaded from Maven Central if they are missing."""
        folder = self.libraries / profile
        if not (folder / "done").exists():
            print(f"android: fetch libraries: {profile}", flush=True)
            self.fetch(HERE / "pom.xml", folder, "--activate-profiles", profile)
            (folder / "done").touch()
        return sorted(folder.glob("*.jar"))

    def fetch(self, pom: Path, folder: Path, *options: str) -> None:
        """Download a project's dependencies; the classes of an AAR become a jar."""
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        download(["mvn", "--quiet", "--batch-mode", "--file", str(pom), *options, *goal])
        for archive in folder.glob("*.aar"):
            with zipfile.ZipFile(archive) as content:
                archive.with_suffix(".jar").write_bytes(content.read(maven.CLASSES))


def write_models(folder: Path) -> None:
    """Write files NUMBER.tflite with so many operators, by LiteRT's own schema; no runtime would run them."""
    for number in (1, 3, 150):
        model = schema.ModelT()
        model.version = 3
        graph, function = schema.SubGraphT(), schema.SubGraphT()  # a file may have more than the main graph
        graph.name, function.name = b"main", b"function"
        graph.operators = [schema.OperatorT() for _ in range(number)]
        function.operators = [schema.OperatorT()] * 7
        model.subgraphs = [graph, function]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        (folder / f"{number}.tflite").write_bytes(bytes(builder.Output()))


def joined(paths: Sequence[Path]) -> str:
    return os.pathsep.join(map(str, paths))


def require_tools() -> None:
    """Leave with UNAVAILABLE where there is no JDK that is new enough, or no Maven."""
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            unavailable(f"{program} is missing; install a JDK of version {JDK} or later and Maven")
    said = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"javac (\d+)", said)
    if version and int(version[1]) < JDK:
        unavailable(f"{said.strip()} is too old; install a JDK of version {JDK} or later")


def download(command: Sequence[str]) -> None:
    """Run Maven; leave with UNAVAILABLE where its repository does not answer."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        done = subprocess.run(command, text=True, check=False, timeout=DOWNLOAD_SECONDS, **pipes)
    except subprocess.TimeoutExpired:
        unavailable(f"Maven does not get the libraries in {DOWNLOAD_SECONDS} seconds")
    if done.returncode == 0:
        return
    reason = OFFLINE.search(done.stdout)
    if reason:
        unavailable(f"Maven cannot get the libraries: {reason[0]}")
    print(done.stdout, file=sys.stderr)
    sys.exit(1)


def unavailable(reason: str) -> NoReturn:
    print(f"android: nothing is checked: {reason}", file=sys.stderr, flush=True)
    sys.exit(UNAVAILABLE)


def run(command: Sequence[str]) -> None:
    """Run a program; exit with its status if it fails."""
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
