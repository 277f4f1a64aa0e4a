"""Pictures, videos, model files with changed bytes, in a process of its own with little memory: none may crash it."""

import io
import json
import random
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Trials
from mutations import mutated_bytes
from PIL import Image

LIMIT = 6 << 30  # of the address space; libraries alone take about half of it
PROGRAM = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
from mobiledet.errors import UserError
if sys.argv[2] == "picture":
    from mobiledet.data.images import load_reduced, load_rgb
    uses = [lambda path: load_rgb(path, True), lambda path: load_reduced(path, 32, 32)]
elif sys.argv[2] == "video":
    from mobiledet.data.video import open_video
    def read(path):
        with open_video(str(path)) as video:
            for frame in video.read():
                assert frame.pixels.ndim == 3
            assert video.report.isprintable(), video.report
    uses = [read]
else:
    import numpy as np
    from mobiledet.devices.litert import LiteRtDetector
    def run(path):
        detector = LiteRtDetector(path, "auto", 1)
        detector.set_input(np.zeros((detector.height, detector.width, 3), np.uint8))
        detector.invoke()
        detector.detections(10, 10, 3)
    uses = [run]
    if sys.argv[2] == "lint":
        from mobiledet_converters.lint.graph import FileGraph
        uses = [FileGraph]
for name in sys.stdin:
    refused = 0
    for use in uses:
        try:
            use(Path(name.strip()))
        except UserError as error:
            refused = 1
            assert str(error).isprintable(), str(error)
    print(name.strip(), refused, flush=True)
"""


def _survive(trials: Trials, kind: str, files: dict[Path, bytes], broken: set[str]) -> None:
    """Have a process use each file; a native crash loses that process alone, is noted in ``broken``, and the rest goes
    on."""
    left = list(files)
    for path, content in files.items():
        path.write_bytes(content)
    while left:
        command = [sys.executable, "-c", PROGRAM, str(LIMIT), kind]
        names = "".join(f"{path}\n" for path in left)
        done = subprocess.run(command, input=names, capture_output=True, text=True, timeout=1200)
        lines = done.stdout.splitlines()
        for line in lines:
            trials.held(line.endswith("1"))
        if done.returncode == 0:
            return
        culprit = left[len(lines)]
        assert done.returncode < 0, f"{culprit}: {done.stderr[-2000:]}"
        broken.add(f"{culprit.name}: signal {-done.returncode}")
        left = left[len(lines) + 1 :]


def test_pictures(trials: Trials, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 60, 3)).astype(np.uint8)
    sound = {}
    for kind in ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM"):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format=kind)
        sound[kind] = buffer.getvalue()
    files = {}
    for index in range(trials.count(105, 1400)):
        kind = list(sound)[index % len(sound)]
        files[tmp_path / f"{index}.{kind.lower()}"] = mutated_bytes(sound[kind], trials.rng)
    broken: set[str] = set()
    _survive(trials, "picture", files, broken)
    assert not broken


def test_videos(trials: Trials, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3)).astype(np.uint8)
    sound = {}
    for kind, codec in (
        ("mp4", "h264"),
        ("mov", "hevc"),
        ("mkv", "h264"),
        ("webm", "vp8"),
        ("avi", "mjpeg"),
        ("ts", "h264"),
    ):
        path = tmp_path / f"sound.{kind}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for picture in pixels:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        sound[kind] = path.read_bytes()
    files = {}
    for index in range(trials.count(90, 1200)):
        kind = list(sound)[index % len(sound)]
        files[tmp_path / f"{index}.{kind}"] = mutated_bytes(sound[kind], trials.rng)
    broken: set[str] = set()
    _survive(trials, "video", files, broken)
    assert not broken


def _changed_models(patch_files: Path, folder: Path, rng: random.Random, count: int) -> dict[Path, bytes]:
    sound = (patch_files / "patch.tflite").read_bytes()
    return {folder / f"{index}.tflite": mutated_bytes(sound, rng, most=2) for index in range(count)}


def test_model_files(trials: Trials, patch_files: Path, tmp_path: Path) -> None:
    """LiteRT takes files as they are: a changed byte may be one of its own crashes, which a bundle's checksum prevents.

    What is ours must not raise anything but an error for people.
    """
    broken: set[str] = set()
    _survive(trials, "model", _changed_models(patch_files, tmp_path, trials.rng, trials.count(20, 300)), broken)
    if broken:
        print(json.dumps(sorted(broken)))


def test_model_files_that_are_linted(trials: Trials, patch_files: Path, tmp_path: Path) -> None:
    broken: set[str] = set()
    _survive(trials, "lint", _changed_models(patch_files, tmp_path, trials.rng, trials.count(20, 300)), broken)
    assert not broken


@pytest.mark.parametrize("name", ["bomb", "compressed", "huge spec"])
def test_files_that_would_fill_the_memory(name: str, trials: Trials, tmp_path: Path) -> None:
    """Refused within 3 GiB of address space above what the program itself takes."""
    program = {
        "bomb": "import struct, zlib; from mobiledet.data.images import load_rgb as use\n"
        "rows = zlib.compressobj(9)\n"
        "data = b''.join(rows.compress(bytes(13301)) for _ in range(13300)) + rows.flush()\n"
        "chunk = lambda kind, body: struct.pack('>I', len(body)) + kind + body + "
        "struct.pack('>I', zlib.crc32(kind + body))\n"
        "header = struct.pack('>IIBBBBB', 13300, 13300, 8, 0, 0, 0, 0)\n"
        "content = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', header) + chunk(b'IDAT', data) + chunk(b'IEND', b'')\n"
        "path.write_bytes(content)\n",
        "compressed": "import zipfile, torch; from mobiledet.checkpoint import load_checkpoint as use\n"
        "torch.save({'format': 'mobiledet checkpoint', 'x': torch.zeros(10)}, path)\n"
        "with zipfile.ZipFile(path) as file: parts = {i.filename: file.read(i) for i in file.infolist()}\n"
        "with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as file:\n"
        "    for part, content in parts.items():\n"
        "        with file.open(part, 'w') as target:\n"
        "            for _ in range(1500 if part.endswith('data/0') else 0): target.write(bytes(1 << 20))\n"
        "            target.write(content)\n",
        "huge spec": "import json, torch; from mobiledet.checkpoint import load_detector as use\n"
        "from mobiledet.spec import InputSpec, ModelSpec\n"
        "from mobiledet.checkpoint import Checkpoint, save_checkpoint\n"
        "labels = tuple(map(str, range(20000)))\n"
        "spec = ModelSpec('x', 'shufflenet_v2_0.5x', 'ssdlite', InputSpec(4096, 4096), labels, tuple(range(20000)))\n"
        "save_checkpoint(path, Checkpoint(spec, {'a': torch.zeros(1)}))\n",
    }[name]
    text = (
        "import resource, sys; from pathlib import Path; from mobiledet.errors import UserError\n"
        "path = Path(sys.argv[1])\n" + program + "size = int(Path('/proc/self/statm').read_text().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (3 << 30), size + (3 << 30)))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: use(path)\n"
        "except UserError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text, str(tmp_path / "x")], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told, grown = done.stdout.splitlines()
    assert str(tmp_path / "x") in told
    assert int(grown) < 400_000  # kilobytes
    trials.held(refused=True)
