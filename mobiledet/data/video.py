"""Videos and cameras as upright frames with their times, by PyAV. No torch.

OpenCV, which is installed anyway, reads videos too. It was weighed and not taken: where a file is cut off it ends as if
all were well, it tells no reason why one cannot be read, and it writes frames at a fixed rate alone, so that their
times would be lost. PyAV is kept up with FFmpeg and BSD-licensed; its wheels hold FFmpeg with x264 (GPL), so it is an
extra, ``video``.
"""

import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.images import MOST_PIXELS
from mobiledet.errors import UserError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".asf", ".flv", ".ogv", ".mxf", ".mjpeg", ".y4m", ".h264", ".hevc"}
)
# of FFmpeg: what reads one file and follows no address in it, as playlists do
FORMATS = "mov,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg,mxf,mjpeg,mjpeg_2000,yuv4mpegpipe,h264,hevc,m4v"
UNTIMED_FORMATS = {"mpjpeg", "mjpeg", "h264", "hevc"}  # whose frames come without a time: of a live one, that of now
TIMED_FORMATS = {"mov", "matroska", "avi", "flv", "asf"}  # whose header tells how long they are
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "rtp", "srt")
SILENT_SECONDS = 15.0  # of an address, until it counts as gone
POLL_SECONDS = 0.2  # between two looks whether a live source shall be left
SHORT_SECONDS = 0.1  # and a frame, by which a file may end before its header says so
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}


class UnreadVideo(UserError):
    """A video or camera of which nothing could be read."""


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame.

    Attributes:
        pixels: height x width x 3 uint8 RGB, upright.
        index: place among the frames of the video, from 0; of a live source among those that were taken.
        ticks: when it is shown, since the beginning, in units of the video's ``time_base``; later than the one before.
        time_s: the same in seconds.
    """

    pixels: NDArray[np.uint8]
    index: int
    ticks: int
    time_s: float


@dataclass
class Video:
    """An opened video or camera; made by ``open_video``. It is gone through once.

    Attributes:
        name: for messages, without a password.
        time_base: seconds of a tick.
        rate: frames per second, about.
        frames: that it has, about; 0 where nobody knows.
        live: whether it goes on while nobody looks: frames that come meanwhile are passed over.
        problem: how it broke, and when; empty as long as it did not.
        passed_over: frames of a live source that came while nobody looked, or without a time at its beginning.
        stop: set it, also from a signal's handler, and reading ends before the next frame.
    """

    name: str
    time_base: Fraction
    rate: Fraction
    frames: int
    live: bool
    problem: str = ""
    passed_over: int = 0
    stop: bool = False
    _container: Any = field(default=None, repr=False)
    _stream: Any = field(default=None, repr=False)
    _by_clock: bool = False
    _last: int | None = None  # ticks of the latest frame
    _first: int | None = None  # ticks at which the video begins
    _reached: float = 0.0  # latest end of a packet, seconds
    _damaged: int = 0  # packets and frames

    def read(self, every: int = 1) -> Iterator[VideoFrame]:
        """Every N-th frame. One that cannot be decoded is left out, and what follows is read as far as it can be;
        ``problem`` tells it afterwards.

        Raises:
            UnreadVideo: not one frame can be decoded, or one is too large.
        """
        return _newest(self, self._read(every)) if self.live else self._read(every)

    def _read(self, every: int) -> Generator[VideoFrame, None, None]:
        index = -1
        for index, frame in enumerate(self._decoded()):
            if self.stop:
                return
            ticks = self._ticks(frame)
            if ticks is None:
                self.passed_over += 1
            elif index % every == 0:
                yield VideoFrame(_upright(frame), index, ticks, float(ticks * self.time_base))
        if index < 0:
            raise UnreadVideo(f"cannot read {self.name}: {self.problem or 'it holds no frame'}")
        self._check_end()

    def _decoded(self) -> Iterator[Any]:
        import av

        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._broke(_reason(error))
                break
            if packet is None:
                return
            if packet.pts is not None and packet.time_base:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._reached = max(self._reached, end)
            if packet.is_corrupt and not self.live:  # its end is missing
                self._damage("its data end in the middle of a frame", packet)
            if packet.stream is self._stream:
                yield from self._frames(packet.decode, packet)
        yield from self._frames(lambda: self._stream.decode(None))  # those that the decoder still holds

    def _frames(self, decode: Callable[[], Iterable[Any]], packet: Any = None) -> Iterator[Any]:
        import av

        try:
            frames = list(decode())
        except EOFError:  # it holds none
            return
        except av.FFmpegError as error:
            self._damage(_reason(error), packet)
            return
        for frame in frames:
            if frame.width * frame.height > MOST_PIXELS:
                raise UnreadVideo(_too_large(self.name, frame.width, frame.height))
            if frame.is_corrupt:
                self._damage("its data are damaged", packet)
            yield frame

    def _ticks(self, frame: Any) -> int | None:
        """When a frame is shown; None of the first frames of a live source that come without a time."""
        at = frame.pts if frame.pts is not None else frame.dts
        if self._by_clock:
            at = round(time.monotonic() / self.time_base)
        step = max(1, round(1 / (self.rate * self.time_base)))
        if at is None and self.live and self._first is None:
            return None
        if at is None:  # such as of a raw stream
            at = 0 if self._last is None else self._last + (self._first or 0) + step
        if self._first is None:
            start = self._container.start_time
            told = start is not None and not self.live
            self._first = round(Fraction(start, 10**6) / self.time_base) if told else at
        ticks = at - self._first
        if self._last is not None and ticks <= self._last:
            ticks = self._last + 1
            if not self.live:
                self._broke("the times of its frames do not grow")
        self._last = ticks
        return ticks

    def _check_end(self) -> None:
        """Find out whether the file is shorter than its header says: decoders do not tell."""
        duration, start = self._container.duration, self._container.start_time or 0
        names = set(self._container.format.name.split(","))
        if self.problem or self.live or not duration or not names & TIMED_FORMATS:
            return
        missing = (duration + start) / 1e6 - self._reached
        if missing > SHORT_SECONDS + 1 / self.rate:
            self._broke(f"it should have {missing:.1f} seconds more, so it was cut off")

    def _damage(self, reason: str, packet: Any) -> None:
        self._damaged += 1
        if packet is None or packet.pts is None or self._first is None:
            self._broke(reason)
        else:
            start = float(self._first * self.time_base)
            self._broke(reason, float(packet.pts * packet.time_base) - start)

    def _broke(self, reason: str, at: float | None = None) -> None:
        """Note the first problem with the time at which it came; that of the latest frame where no other is known."""
        if not self.problem:
            latest = float((self._last or 0) * self.time_base)
            self.problem = f"{reason}, at {latest if at is None else at:.2f} seconds"

    @property
    def report(self) -> str:
        """The first problem, and how much there was of it."""
        more = f" ({self._damaged} damaged parts in all)" if self._damaged > 1 else ""
        return f"{self.problem}{more}" if self.problem else ""


def is_video(source: str) -> bool:
    """Whether a text stands for a camera, an address, or a file that a video's name says it is."""
    if Path(source).is_file() or Path(source).is_dir():
        return Path(source).is_file() and Path(source).suffix.lower() in VIDEO_SUFFIXES
    return _is_camera(source) or _is_address(source) or Path(source).suffix.lower() in VIDEO_SUFFIXES


def list_videos(folder: Path) -> list[Path]:
    """Those directly in a folder, sorted; what a Mac leaves beside a file (``._NAME``) is none."""
    if not folder.is_dir():
        return []
    files = (child for child in folder.iterdir() if not child.name.startswith("._") and child.is_file())
    return sorted(file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)


def short_name(source: str) -> str:
    """A name for files that are made of a source: letters, digits, points and lines, no password."""
    if _is_address(source):
        parts = urlsplit(source)
        source = f"{parts.hostname or parts.scheme}{f'-{_port(parts)}' if _port(parts) else ''}{parts.path}"
        return re.sub(r"[^\w.-]+", "-", source).strip("-.") or "stream"
    return f"camera-{re.sub(r'^/dev/video', '', source)}" if _is_camera(source) else Path(source).stem


@contextmanager
def open_video(source: str) -> Iterator[Video]:
    """A video file, an address such as rtsp://..., or a camera: its number, or its device such as /dev/video0.

    Raises:
        UserError: PyAV is missing.
        UnreadVideo: the source cannot be had or holds no video.
    """
    name = public_name(source)
    try:
        import av
    except ImportError as error:
        raise UserError(f"{name} needs PyAV, not installed: pip install 'mobiledet[video]'") from error
    try:
        container = av.open(**_how(source), mode="r")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadVideo(f"cannot read {name}: {_reason(error)}") from error
    with container:
        if not container.streams.video:
            raise UnreadVideo(f"cannot read {name}: it holds no video")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UnreadVideo(f"cannot read {name}: no decoder for it is known")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MOST_PIXELS:
            raise UnreadVideo(_too_large(name, width, height))
        stream.thread_type = "AUTO"
        live = _is_camera(source) or (_is_address(source) and container.duration is None)
        by_clock = live and bool(UNTIMED_FORMATS & set(container.format.name.split(",")))
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        length = (container.duration or 0) / 1e6
        yield Video(
            name=name,
            time_base=Fraction(1, 1000) if by_clock else Fraction(stream.time_base or Fraction(1, 90_000)),
            rate=Fraction(rate),
            frames=0 if live else stream.frames or round(length * rate),
            live=live,
            _container=container,
            _stream=stream,
            _by_clock=by_clock,
        )


def public_name(source: str) -> str:
    """A source as messages call it: an address without user, password and query."""
    if not _is_address(source):
        return f"camera {source}" if source.isdecimal() else source
    parts = urlsplit(source)
    port = f":{_port(parts)}" if _port(parts) else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _how(source: str) -> dict[str, Any]:
    """Arguments of PyAV's ``open``."""
    if _is_camera(source):
        kind, device = CAMERAS.get(sys.platform, ("", ""))
        if not kind:
            raise UnreadVideo(f"cameras are known on Linux and macOS, not on {sys.platform}; give an address or a file")
        return {"file": device.format(source) if source.isdecimal() else source, "format": kind}
    if _is_address(source):
        # of RTSP by TCP, which loses no packets
        options = {"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {}
        return {"file": source, "options": options, "timeout": SILENT_SECONDS}
    if not Path(source).is_file():
        raise UnreadVideo(f"cannot find {source}; give a picture, a video, a folder of them, or a camera")
    return {"file": f"file:{source}", "options": {"format_whitelist": FORMATS, "protocol_whitelist": "file"}}


def _is_camera(source: str) -> bool:
    return (source.isdecimal() and source.isascii()) or source.startswith("/dev/video")


def _is_address(source: str) -> bool:
    return source.partition("://")[0].lower() in SCHEMES and "://" in source


def _port(parts: Any) -> int | None:
    try:
        port: int | None = parts.port
    except ValueError:
        return None
    return port


def _too_large(name: str, width: int, height: int) -> str:
    return f"cannot read {name}: {width} x {height} pixels are more than {MOST_PIXELS // 10**6} million"


def _reason(error: Exception) -> str:
    """Why, without the source: an address may hold a password."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split()).lower()


def _upright(frame: Any) -> NDArray[np.uint8]:
    """The pixels of a frame, turned and mirrored as its display matrix says, to the nearest quarter."""
    pixels = frame.to_ndarray(format="rgb24")
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return np.asarray(pixels)
    # (x, y) becomes (a x + c y, b x + d y)
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _newest(video: Video, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The newest frame each time that one is asked for; a thread reads on meanwhile."""
    waiting: list[VideoFrame] = []
    ended: list[BaseException | None] = []
    changed = threading.Condition()

    def work() -> None:
        error: BaseException | None = None
        try:
            for frame in frames:
                with changed:
                    video.passed_over += len(waiting)
                    waiting[:] = [frame]
                    changed.notify()
        except BaseException as raised:  # told where the frames are asked for
            error = raised
        with changed:
            ended.append(error)
            changed.notify()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while not video.stop:
            with changed:
                changed.wait_for(lambda: waiting or ended, POLL_SECONDS)
                frame = waiting.pop() if waiting else None
            if frame:
                yield frame
            elif ended:
                break
    finally:
        video.stop = True
        thread.join(2 * SILENT_SECONDS)
    if ended and ended[0]:
        raise ended[0]
