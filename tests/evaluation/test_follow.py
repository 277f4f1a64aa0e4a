"""Objects followed by ``predict --track`` and ``Detector.track``: drawn squares, real LiteRT, real videos."""

import json
import math
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import mobiledet
from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.detections import Detections
from mobiledet.devices.base import Frame
from mobiledet.errors import UserError
from mobiledet.evaluation.follow import Follower, parse_place
from mobiledet.evaluation.predict_video import predict_video
from mobiledet.tracking.counting import Line, Zone
from mobiledet.tracking.tracker import Tracker

Paint = Callable[..., np.ndarray]
FRAMES = (
    [[(1, 1, 0), (5, 5, 2)]] * 3 + [[(5, 5, 2)]] * 2 + [[(1, 1, 0), (5, 5, 2)]] * 2
)  # row, column, class of squares
IDS = [[1, 2]] * 3 + [[2]] * 2 + [[1, 2]] * 2


def write_video(path: Path, frames: Iterable[np.ndarray]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=30, options={"crf": "10"})
        for index, pixels in enumerate(frames):
            if not index:
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def by_class(detections: list[dict[str, Any]]) -> list[int]:
    return [found["track_id"] for found in sorted(detections, key=lambda found: found["label_index"])]


def test_a_video(patch_bundle: Bundle, paint_cells: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = write_video(tmp_path / "clip.mp4", (paint_cells(squares, 128, 96) for squares in FRAMES))
    zone = "left=0%,0%,50%,0%,50%,100%,0%,100%"
    arguments = [str(video), "--track", "--zone", zone, "--line", "0,48,128,48", "--out", str(tmp_path / "out")]
    assert cli.main(["predict", str(patch_bundle.path), *arguments, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for line in (tmp_path / "out" / "clip.ndjson").read_text().splitlines()]
    assert [by_class(line["detections"]) for line in lines] == IDS
    assert [line["zones"][0]["now"] for line in lines] == [{"red": 1}] * 3 + [{}] * 2 + [{"red": 1}] * 2
    assert told["tracks"] == {"red": 1, "blue": 1}
    assert told["zones"] == [{"name": "left", "now": {"red": 1}, "visitors": {"red": 1}}]
    assert told["lines"] == [{"name": "line 1", "to_right": {}, "to_left": {}}]
    assert told["not_followed"] == 0


def test_pictures_are_frames_in_the_order_of_their_numbers(
    patch_bundle: Bundle, paint_cells: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    names = [f"frame{8 + place}.png" for place in range(len(FRAMES))]  # 8, 9, 10, ...
    for name, squares in zip(names, FRAMES, strict=True):
        Image.fromarray(paint_cells(squares)).save(folder / name)
    arguments = ["predict", str(patch_bundle.path), str(folder), "--out", str(tmp_path / "out"), "--track"]
    assert cli.main([*arguments, "--json"]) == 0
    *pictures, end = json.loads(capsys.readouterr().out)
    assert [Path(picture["image"]).name for picture in pictures] == names
    assert [by_class(picture["detections"]) for picture in pictures] == IDS
    assert end == {"pictures": 7, "tracks": {"red": 1, "blue": 1}, "not_followed": 0}
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out
    assert "#2" in told
    assert "2 objects tracked: 1 red, 1 blue" in told


class Scripted:
    """A double of a session, for squares cannot move by less than a cell: one box that walks, four pixels a frame."""

    def detect(self, images: Iterable[Any], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        for index, _ in enumerate(images):
            box = np.array([[4 * index, 20, 4 * index + 20, 60]], np.float32)
            found = Detections(box, np.array([0.2 if 4 < index < 8 else 0.9], np.float32), np.array([1]))
            yield Frame(Path(str(index)), found, None)


def test_what_walks_through_a_line_is_counted(patch_bundle: Bundle, tmp_path: Path) -> None:
    grey = np.full((480, 640, 3), 90, np.uint8)
    video = write_video(tmp_path / "grey.mp4", [grey] * 20)
    follower = Follower(Tracker(0.5), [Line("gate", (50, 0), (50, 100))], [parse_place("0,0,30,0,30,90", "zone", 1)])
    drawn = tmp_path / "drawn.mp4"
    session: Any = Scripted()
    done = predict_video(session, patch_bundle.spec, str(video), drawn, None, 0.5, quiet=True, follower=follower)
    assert (done.frames, done.objects) == (20, 20)  # weak ones keep the track
    assert done.followed == {
        "tracks": {"green": 1},
        "lines": [{"name": "gate", "to_right": {}, "to_left": {"green": 1}}],
        "zones": [{"name": "zone 1", "now": {}, "visitors": {"green": 1}}],
        "not_followed": 0,
    }
    assert "gate: 0 to the right, 1 to the left" in done.notes
    with av.open(str(drawn)) as container:
        last = list(container.decode(video=0))[-1].to_ndarray(format="rgb24")
    assert last[80, 45:56].min() < 40  # the line, white in a black edge
    assert last[80, 45:56].max() > 200


def test_track_in_python(patch_bundle: Bundle, paint_cells: Paint, tmp_path: Path) -> None:
    pictures = [paint_cells(squares) for squares in FRAMES]
    video = write_video(tmp_path / "clip.mp4", pictures)
    zone = Zone("all", ((0, 0), (999, 0), (999, 999), (0, 999)))
    with mobiledet.Detector.open(patch_bundle, threads=1) as detector:
        for source in (pictures, str(video)):
            frames = list(detector.track(source, zones=[zone]))
            ids = [
                [i for _, i in sorted(zip(frame.labels.tolist(), frame.ids.tolist(), strict=True))] for frame in frames
            ]
            assert ids == IDS
            assert math.isnan(frames[0].time_s) == (source is pictures)
            assert frames[-1].follower.counter.zones[0].visitors.total() == 2
            assert frames[0].draw().shape[2] == 3
        with pytest.raises(UserError, match=r"missing\.png"):
            next(detector.track([tmp_path / "missing.png"]))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--line", "0,0,1,1"], "add --track"),
        (["--track", "--line", "0,0,1"], "--line '0,0,1' is not x1,y1,x2,y2"),
        (["--track", "--line", "1,1,1,1"], "starts and ends at the same point"),
        (["--track", "--line", "0,0,5%,1"], "all in percent"),
        (["--track", "--zone", "a=0,0,1,1"], "--zone 'a=0,0,1,1' is not"),
        (["--track", "--zone", "0,0,1,1,nan,3"], "is not x1,y1"),
        (["--track", "--track-smoothing", "1"], "smoothing 1.0 is not at least 0 and below 1"),
        (["--track", "--track-keep", "-1"], "keep_lost -1"),
    ],
)
def test_mistakes(
    patch_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(picture)
    assert cli.main(["predict", str(patch_bundle.path), str(picture), "--out", str(tmp_path / "out"), *arguments]) == 2
    assert reason in capsys.readouterr().err
