"""Times the pass from a camera's frame to a model's input in the apps' three languages, against the separate steps.

python benchmarks/frames.py [--only kotlin swift web]

The steps are: convert the whole frame to RGB, turn it upright, resize it; each makes an image. Both sides run in turn
in one process; the output has the median of their processor time for each frame, and what each allocates: bytes in
Kotlin and JavaScript (of typed arrays), calls of malloc in Swift. Their results are compared first. Kotlin reads
YUV_420_888 on a JDK, Swift BGRA and NV12 in a release build, JavaScript RGBA in Node.js; the toolchains are those of
`make test-apps`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

APPS = Path(__file__).resolve().parent.parent / "apps"


def kotlin() -> None:
    sys.path.insert(0, str(APPS / "android" / "check"))
    from check import ANDROID, Check, joined

    check = Check(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mobiledet" / "android")
    core = check.core()
    libraries = [core, *check.jars("core"), *check.jars("test")]
    tests = check.out / "mobiledet-core-benchmark.jar"
    check.compile(tests, [ANDROID / "mobiledet-core" / "src" / "test"], libraries, [f"-Xfriend-paths={core}"])
    subprocess.run(["java", "-cp", joined([tests, *libraries]), "dev.mobiledet.core.FrameBenchmarkKt"], check=True)


def swift() -> None:
    ios = APPS / "ios"
    sources = sorted((ios / "Sources" / "MobileDetCore").rglob("*.swift"))
    with tempfile.TemporaryDirectory() as folder:
        header = ios / "Sources" / "CZlib" / "include" / "CZlib.h"
        modules = Path(folder, "module.modulemap")
        modules.write_text(f'module CZlib {{ umbrella header "{header}" export * }}\n')
        program = Path(folder, "frames")
        options: list[str | Path] = [
            "-O",
            "-wmo",
            "-swift-version",
            "6",
            "-module-name",
            "frames",
            "-lz",
            "-o",
            program,
        ]
        files = [*sources, ios / "Checks" / "FrameBenchmark" / "main.swift"]
        _swift(ios, "swiftc", *options, "-Xcc", f"-fmodule-map-file={modules}", *files)
        _swift(ios, program)


def _swift(ios: Path, *command: str | Path) -> None:
    subprocess.run(["./toolchain.sh", "run", *map(str, command)], cwd=ios, check=True)


def web() -> None:
    subprocess.run(["node", APPS / "web" / "testing" / "frame_benchmark.mjs"], check=True)


LANGUAGES = {"kotlin": kotlin, "swift": swift, "web": web}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LANGUAGES, default=list(LANGUAGES), help="languages to measure")
    for name in parser.parse_args().only:
        print(name, flush=True)
        try:
            LANGUAGES[name]()
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"{name} cannot be measured: {error}")


if __name__ == "__main__":
    main()
