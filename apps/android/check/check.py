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
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from replay import Replay

HERE = Path(__file__).resolve().parent
ANDROID = HERE.parent
APPS = ANDROID.parent
TESTDATA = APPS / "testdata"
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
OLD_JAVA = "8"  # the Java classes of Android 8
JDK = 17
UNAVAILABLE = 3  # exit status
DOWNLOAD_SECONDS = 600
# what Maven says if a repository does not answer; one that answers, but has no such library, is a mistake in pom.xml
OFFLINE = re.compile(
    r"(Could not transfer|failed to transfer|Cannot access .* in offline mode|No plugin found) .{0,160}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("core", "shell"), help="check only one part")
    only = parser.parse_args().only
    require_tools()
    check = Check(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mobiledet" / "android")
    core = check.core()
    if only != "shell":
        check.core_tests(core)
    if only != "core":
        check.shell(core)
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
        self.junit([out, *classes], [tests])
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

    def shell(self, core: Path) -> None:
        """Compile the Android library and app against Android's classes; any warning is an error."""
        platform = [*self.jars("shell"), *self.jars("core"), core]
        library = self.out / "mobiledet-android.jar"
        options = [f"-Xjdk-release={OLD_JAVA}", "-Werror", "-Xexplicit-api=strict"]
        self.compile(library, [ANDROID / "mobiledet-android" / "src" / "main"], platform, options)
        app = self.out / "app.jar"
        self.compile(app, [ANDROID / "app" / "src" / "main"], [library, *platform], options)
        self.shell_tests([app, library, core])

    def shell_tests(self, modules: Sequence[Path]) -> None:
        """Run the tests in Robolectric that need neither LiteRT's library nor a camera."""
        out = self.out / "android-test.jar"
        tests = [ANDROID / name / "src" / "test" for name in ("mobiledet-android", "app")]
        robolectric = [*modules, *self.jars("core"), *self.jars("robolectric"), *self.jars("test"), *self.jars("shell")]
        friends = ",".join(map(str, modules))
        self.compile(out, tests, robolectric, [f"-Xfriend-paths={friends}"])
        with tempfile.TemporaryDirectory() as folder:
            self.configure(Path(folder))
            sdk = self.jars("robolectric-sdk")[0].parent
            options = ["-Drobolectric.offline=true", f"-Drobolectric.dependency.dir={sdk}"]
            # Java 17 reads the classes of Android 14, not those of 16 that the compiler was given
            platform = [path for path in self.jars("robolectric-platform") if path.name.startswith("android-all")]
            libraries = [path for path in robolectric if not path.name.startswith("android-all")]
            for module in tests:  # each in a process of its own, as Gradle does
                self.junit([Path(folder), out, *libraries, *platform], [module], options)

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
        target = ["-jvm-target", "1.8", "-module-name", out.stem, "-cp", joined(class_path), "-d", str(out)]
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
            goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
            download(
                [
                    "mvn",
                    "--quiet",
                    "--batch-mode",
                    "--file",
                    str(HERE / "pom.xml"),
                    "--activate-profiles",
                    profile,
                    *goal,
                ]
            )
            for archive in folder.glob("*.aar"):
                with zipfile.ZipFile(archive) as content:
                    archive.with_suffix(".jar").write_bytes(content.read("classes.jar"))
            (folder / "done").touch()
        return sorted(folder.glob("*.jar"))


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
