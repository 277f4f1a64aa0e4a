"""Videos and cameras: drawn squares that move, encoded by FFmpeg, found by the detector of coloured squares."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from rtsp_camera import RtspCamera

import mobiledet
from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.data.video import is_video, public_name, short_name
from mobiledet.devices.base import Frame
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError
from mobiledet.evaluation.predict_video import predict_video

WIDTH, HEIGHT = 128, 96
TICK = Fraction(1, 600)
MOVIE_TICKS = [0, 20, 40, 100, 110, 130, 240, 250, 260, 300, 420, 430]  # of a phone that slows down in the dark
TURNED = {  # display matrices of phones: what becomes of (x, y), and how a row, column of 8 x 8 cells moves
    "quarter": ((0, 1, -1, 0), lambda row, column: (column, 7 - row)),
    "half": ((-1, 0, 0, -1), lambda row, column: (7 - row, 7 - column)),
    "other quarter": ((0, -1, 1, 0), lambda row, column: (7 - column, row)),
    "mirrored": ((-1, 0, 0, 1), lambda row, column: (row, 7 - column)),
}
Paint = Callable[..., np.ndarray]
Movie = Callable[..., Path]


def place(index: int) -> tuple[int, int, int]:
    """Row, column and class of the square in a frame."""
    return index % 7, (2 * index) % 7, index % 3


def cell_box(row: int, column: int, width: int = WIDTH, height: int = HEIGHT) -> list[float]:
    wide, tall = width / 8, height / 8
    return [column * wide, row * tall, (column + 1) * wide, (row + 1) * tall]


@pytest.fixture
def movie(tmp_path: Path, paint_cells: Paint) -> Movie:
    """Writes a video: ``(name, ticks, matrix, size)``."""

    def write(
        name: str = "clip.mp4",
        ticks: Iterable[int] = MOVIE_TICKS,
        matrix: tuple[int, int, int, int] | None = None,
        size: tuple[int, int] = (WIDTH, HEIGHT),
    ) -> Path:
        path = tmp_path / name
        options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream("h264", rate=30, options={"crf": "10", "g": "4", "bf": "0"})
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.time_base = stream.codec_context.time_base = TICK
            for index, tick in enumerate(ticks):
                frame = av.VideoFrame.from_ndarray(paint_cells([place(index)], *size), format="rgb24")
                frame.pts, frame.time_base = tick, TICK
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        if matrix:
            _turn(path, matrix)
        return path

    return write


def _turn(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a matrix into the track header, as phones do (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    a, b, c, d = (entry << 16 for entry in matrix)
    content[start : start + 36] = b"".join(
        entry.to_bytes(4, "big", signed=True) for entry in (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    )
    path.write_bytes(content)


def predict(bundle: Bundle, *arguments: object) -> int:
    return cli.main(["predict", str(bundle.path), *map(str, arguments)])


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def check_boxes(lines: list[dict[str, Any]], places: Iterable[tuple[int, int, int]], size: tuple[int, int]) -> None:
    for line, (row, column, label) in zip(lines, places, strict=True):
        (found,) = line["detections"]
        assert (found["label"], found["label_index"]) == (("red", "green", "blue")[label], label)
        assert found["box_xyxy"] == pytest.approx(cell_box(row, column, *size), abs=0.01)


def test_frames_keep_their_times(
    patch_bundle: Bundle, movie: Movie, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert predict(patch_bundle, movie(), "--out", out) == 0
    lines = read_lines(out / "clip.ndjson")
    expected = [tick / 600 for tick in MOVIE_TICKS]
    assert [line["frame"] for line in lines] == list(range(12))
    assert [line["time_s"] for line in lines] == pytest.approx(expected, abs=1e-6)
    assert times_of(out / "clip.mp4") == pytest.approx(expected, abs=1e-9)
    check_boxes(lines, map(place, range(12)), (WIDTH, HEIGHT))
    assert "12 frames, 12 objects" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "clip.ndjson"]


@pytest.mark.parametrize("turn", TURNED)
def test_rotation_is_obeyed(patch_bundle: Bundle, movie: Movie, tmp_path: Path, turn: str) -> None:
    matrix, moved = TURNED[turn]
    path, out = movie(matrix=matrix, ticks=range(0, 90, 30)), tmp_path / "out"
    assert predict(patch_bundle, path, "--out", out) == 0
    size = (HEIGHT, WIDTH) if "quarter" in turn else (WIDTH, HEIGHT)
    places = [(*moved(row, column), label) for row, column, label in map(place, range(3))]
    check_boxes(read_lines(out / "clip.ndjson"), places, size)
    with av.open(str(out / "clip.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.width / frame.height, frame.rotation) == (size[0] / size[1], 0)
        assert (frame.colorspace, frame.color_range) == (5, 1)  # BT.601 is what PyAV computes, told to players
    if turn != "mirrored":  # which OpenCV does not know
        theirs = cv2.VideoCapture(str(path)).read()[1]
        assert theirs.shape[1::-1] == size
        row, column, _ = places[0]
        left, top, right, bottom = map(int, cell_box(row, column, *size))
        assert theirs[top + 2 : bottom - 2, left + 2 : right - 2, 2].min() > 200


def test_every_nth_frame_and_one_kind_of_file(patch_bundle: Bundle, movie: Movie, tmp_path: Path) -> None:
    path = movie()
    assert predict(patch_bundle, path, "--every", 5, "--write", "ndjson", "--out", tmp_path / "lines") == 0
    assert [line["frame"] for line in read_lines(tmp_path / "lines" / "clip.ndjson")] == [0, 5, 10]
    assert predict(patch_bundle, path, "--every", 5, "--write", "video", "--out", tmp_path / "drawn") == 0
    assert times_of(tmp_path / "drawn" / "clip.mp4") == pytest.approx([0, 130 / 600, 420 / 600])
    assert [len(list((tmp_path / name).iterdir())) for name in ("lines", "drawn")] == [1, 1]


def test_odd_sizes_are_written(patch_bundle: Bundle, movie: Movie, tmp_path: Path) -> None:
    path, out = movie("clip.mkv", size=(502, 482), ticks=(0, 30)), tmp_path / "out"
    _turn_off_the_last_row(path, tmp_path / "odd.avi")
    assert predict(patch_bundle, tmp_path / "odd.avi", "--out", out) == 0
    with av.open(str(out / "odd.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (502, 482)


def _turn_off_the_last_row(source: Path, target: Path) -> None:
    """The same video with one row and one column less, in a form that has odd sides."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream("mjpeg", rate=20)
        stream.width, stream.height, stream.pix_fmt = 501, 481, "yuvj444p"
        for frame in read.decode(video=0):
            pixels = np.ascontiguousarray(frame.to_ndarray(format="rgb24")[:481, :501])
            written.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        written.mux(stream.encode())


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_what_comes_before_a_cut_is_kept(
    patch_bundle: Bundle, movie: Movie, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path, out = movie(name, ticks=range(0, 3600, 60)), tmp_path / "out"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    assert predict(patch_bundle, path, "--out", out) == 3
    lines = read_lines(out / "clip.ndjson")
    assert 15 < len(lines) < 55
    assert len(times_of(out / "clip.mp4")) == len(lines)
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(error) == 1
    assert f"{name} is damaged" in error[0]
    at = re.search(r"at (\d+\.\d\d) seconds", error[0])
    assert at
    assert float(at[1]) == pytest.approx(lines[-1]["time_s"], abs=0.21)  # two frames
    assert "the frames before are kept" in error[0]


def test_damage_in_the_middle_is_told_and_read_past(
    patch_bundle: Bundle, movie: Movie, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = movie("clip.mkv", ticks=range(0, 3600, 60)), tmp_path / "out"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(content)
    assert predict(patch_bundle, path, "--write", "ndjson", "--out", out) == 3
    lines = read_lines(out / "clip.ndjson")
    assert lines[-1]["time_s"] > 4
    assert "is damaged" in capsys.readouterr().err


def test_unreadable_videos_are_one_line(
    patch_bundle: Bundle, movie: Movie, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, good = tmp_path / "out", movie()
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(good.read_bytes()[:300])
    noise, listed, empty = tmp_path / "noise.mkv", tmp_path / "list.ts", tmp_path / "empty.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    # playlists, which could name other files and addresses
    listed.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{good}\n#EXT-X-ENDLIST\n")
    empty.touch()
    for path in (headless, noise, listed, empty, tmp_path / "missing.mov"):
        assert predict(patch_bundle, path, "--out", out) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert len(error) == 1, error
        assert error[0].startswith("error: cannot ")
        assert path.name in error[0]
    assert not out.exists() or not list(out.iterdir())


def test_a_bad_video_does_not_stop_the_rest(
    patch_bundle: Bundle, movie: Movie, tmp_path: Path, paint_cells: Paint, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "mixed", tmp_path / "out"
    folder.mkdir()
    movie().rename(folder / "b.mp4")
    (folder / "a.mp4").write_bytes(b"nothing")
    (folder / "._b.mp4").write_bytes(b"of a Mac")
    Image.fromarray(paint_cells([(1, 1, 1)])).save(folder / "c.png")
    assert predict(patch_bundle, folder, "--out", out, "--json") == 2
    told = capsys.readouterr()
    picture, video = json.loads(told.out)
    assert (Path(picture["image"]).name, Path(video["video"]).name) == ("c.png", "b.mp4")
    assert (video["frames"], video["objects"], video["problem"]) == (12, 12, "")
    assert sorted(path.name for path in out.iterdir()) == ["b.mp4", "b.ndjson", "c.png"]
    assert "a.mp4" in told.err
    assert "1 of 3 images and videos could not be read" in told.err


def test_mistakes(patch_bundle: Bundle, movie: Movie, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = movie()
    for arguments, reason in (
        ([path, "--every", 0], "--every 0"),
        ([path, "--out", tmp_path], "would overwrite"),
        ([path, "--sheet", tmp_path / "sheet.jpg"], "no images"),
        ([path, "--tiles", "big"], "--tiles 'big'"),
        (["10"], "cannot read camera 10"),
    ):
        assert predict(patch_bundle, *arguments[:1], "--out", tmp_path / "out", *arguments[1:]) == 2
        assert reason in capsys.readouterr().err


def test_without_pyav(
    patch_bundle: Bundle,
    movie: Movie,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = movie()
    monkeypatch.setitem(sys.modules, "av", None)
    assert predict(patch_bundle, path, "--out", tmp_path / "out") == 2
    assert "pip install 'mobiledet[video]'" in capsys.readouterr().err


def test_stream_in_python(patch_bundle: Bundle, movie: Movie) -> None:
    path = movie()
    with mobiledet.Detector.open(patch_bundle, threads=1) as detector:
        frames = list(detector.stream(path, every=3))
        assert [(frame.index, frame.time_s) for frame in frames] == [(i, MOVIE_TICKS[i] / 600) for i in (0, 3, 6, 9)]
        assert [frame.names for frame in frames] == [("red",)] * 4
        assert frames[0].boxes.tolist() == [pytest.approx(cell_box(0, 0))]
        assert frames[0].image.shape == (HEIGHT, WIDTH, 3)  # type: ignore[union-attr]
        path.write_bytes(path.read_bytes()[:-400])
        seen = []
        with pytest.raises(UserError, match=r"is damaged: .* at 0\.\d\d seconds"):
            seen += [frame.index for frame in detector.stream(path)]
        with pytest.raises(UserError, match="every 0"):
            next(detector.stream(path, every=0))


class Interrupting:
    """A real session that has the terminal send Ctrl-C while it looks at the fifth frame."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def detect(self, images: Iterable[Any], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        for index, frame in enumerate(self._session.detect(images, apply_orientation)):
            if index == 4:
                os.kill(os.getpid(), signal.SIGINT)
            yield frame


def test_ctrl_c_leaves_whole_files(patch_bundle: Bundle, movie: Movie, tmp_path: Path) -> None:
    session: Any = Interrupting(LocalDevice().load(patch_bundle, patch_bundle.select(), threads=1))
    drawn, lines = tmp_path / "out.mp4", tmp_path / "out.ndjson"
    done = predict_video(session, patch_bundle.spec, str(movie()), drawn, lines, 0.3, quiet=True)
    assert (done.frames, done.stopped, done.problem) == (5, signal.SIGINT, "")
    assert len(read_lines(lines)) == len(times_of(drawn)) == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.fixture
def camera(paint_cells: Paint) -> Iterator[tuple[str, list[float]]]:
    """A network camera that sends 50 JPEGs a second until nobody looks, without times, as many real ones do.

    Its address, and when each picture was sent.
    """
    sent: list[float] = []

    class Sending(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(5000):
                picture = BytesIO()
                Image.fromarray(paint_cells([place(index)], WIDTH, HEIGHT)).save(picture, "JPEG", quality=95)
                size = len(picture.getvalue())
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n\r\n"
                sent.append(time.monotonic())
                try:
                    self.wfile.write(head.encode() + picture.getvalue() + b"\r\n")
                except OSError:
                    return
                time.sleep(0.02)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sending)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:secret@127.0.0.1:{server.server_port}/live", sent
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_camera_goes_on_until_ctrl_c(patch_bundle: Bundle, camera: tuple[str, list[float]], tmp_path: Path) -> None:
    address, sent = camera
    command = [sys.executable, "-m", "mobiledet.cli", "predict", str(patch_bundle.path), address, "--threads", "1"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("out/*.ndjson*")):
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    (lines,), (drawn,) = (list((tmp_path / "out").glob(f"*.{kind}")) for kind in ("ndjson", "mp4"))
    found = read_lines(lines)
    assert len(found) > 2
    assert len(times_of(drawn)) == len(found)
    assert [line["frame"] for line in found] == sorted({line["frame"] for line in found})
    first, last = found[0], found[-1]
    elapsed = sent[last["frame"]] - sent[first["frame"]]
    assert last["time_s"] - first["time_s"] == pytest.approx(elapsed, abs=0.7)
    assert "secret" not in output + errors + lines.name
    assert f"{len(found)} frames" in output


def test_an_rtsp_camera(patch_bundle: Bundle, movie: Movie, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = [index / 20 for index in range(30)]
    with av.open(str(movie("clip.mkv", ticks=range(30)))) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        head = container.streams.video[0].codec_context.extradata
    camera = RtspCamera(_annex_b(packets, head or b""), seconds)
    status = predict(patch_bundle, camera.url, "--out", tmp_path / "out")
    camera.close()
    told = capsys.readouterr()
    assert "the stream ended" in told.out
    (lines,) = (tmp_path / "out").glob("*.ndjson")
    found = read_lines(lines)
    assert status == 0, told.err
    assert len(found) > 5
    first = found[0]
    for line in found:
        assert line["time_s"] - first["time_s"] == pytest.approx((line["frame"] - first["frame"]) / 20, abs=1e-3)
        row, column, label = place(line["frame"])
        assert [entry["label_index"] for entry in line["detections"]] == [label]
        assert line["detections"][0]["box_xyxy"] == pytest.approx(cell_box(row, column), abs=0.01)


def _annex_b(packets: list[bytes], head: bytes) -> list[bytes]:
    """Packets of a file with start codes in place of lengths; the parameter sets (avcC) come first."""
    start, at, sets = b"\0\0\1", 6, b""
    for count in (head[5] & 31, 1):
        for _ in range(count):
            size = int.from_bytes(head[at : at + 2], "big")
            sets, at = sets + start + head[at + 2 : at + 2 + size], at + 2 + size
        at += 1
    units = []
    for packet in packets:
        unit, at = b"", 0
        while at < len(packet):
            size = int.from_bytes(packet[at : at + 4], "big")
            unit, at = unit + start + packet[at + 4 : at + 4 + size], at + 4 + size
        units.append(unit)
    return [sets + units[0], *units[1:]]


def test_sources_are_told_apart() -> None:
    for source in ("0", "/dev/video2", "rtsp://u:p@host:554/cam", "HTTP://host/x", "clip.MOV"):
        assert is_video(source), source
    for source in ("photo.jpg", "folder", "folder/7.png", "c:\\a.jpg", "x.gif"):
        assert not is_video(source), source
    assert short_name("rtsp://u:p@host:554/cam/1?key=p") == "host-554-cam-1"
    assert (short_name("0"), short_name("/dev/video2"), short_name("a/b.mov")) == ("camera-0", "camera-2", "b")
    assert public_name("rtsp://u:p@host:554/cam/1?key=p") == "rtsp://host:554/cam/1"
