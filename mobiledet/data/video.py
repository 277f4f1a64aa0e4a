"""Reads videos and cameras as upright frames with their times, with PyAV. Imports no torch.

OpenCV is not used, although it can read videos: it does not report files that are cut off, gives no reason if a file
cannot be read, and writes frames only at a fixed rate, so that their times would be lost. PyAV follows FFmpeg closely
and is BSD-licensed; its wheels contain FFmpeg with x264 (GPL), so it is an extra, ``video``.
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

from mobiledet.data.images import MAX_PIXELS
from mobiledet.errors import UserError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"}
    | {".wmv", ".asf", ".flv", ".ogv", ".mxf", ".mjpeg", ".y4m", ".h264", ".hevc"}
)
# FFmpeg's demuxers that read a single file; those of playlists would follow addresses in the file
FORMATS = "mov,matroska,webm,avi,mpeg,mpegvideo,mpegts,asf,flv,ogg,mxf,mjpeg,mjpeg_2000,yuv4mpegpipe,h264,hevc,m4v"
UNTIMED_FORMATS = {"mpjpeg", "mjpeg", "h264", "hevc"}  # frames have no times; for a live source the clock gives them
TIMED_FORMATS = {"mov", "matroska", "avi", "flv", "asf"}  # the header contains the duration
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "rtp", "srt")
SILENT_SECONDS = 15.0  # an address that sends nothing for this long is given up
POLL_SECONDS = 0.2  # between checks whether to stop reading a live source
SHORT_SECONDS = 0.1  # a file may end earlier than its header says by this much and a frame
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}


class UnreadVideo(UserError):
    """A video or camera that could not be read at all."""


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """One frame.

    Attributes:
        pixels: height x width x 3 uint8 RGB, upright.
        index: number of the frame in the video, from 0; for a live source, among the frames that were read.
        ticks: presentation time since the beginning in units of the video's ``time_base``; strictly increasing.
        time_s: presentation time in seconds.
    """

    pixels: NDArray[np.uint8]
    index: int
    ticks: int
    time_s: float


@dataclass
class Video:
    """An opened video or camera; made by ``open_video``. It can be read only once.

    Attributes:
        name: name for messages, without a password.
        time_base: seconds per tick.
        rate: approximate frames per second.
        frames: approximate number of frames; 0 if unknown.
        live: whether frames arrive in real time; those that arrive while none is requested are skipped.
        problem: the first problem and its time; empty if there was none.
        passed_over: number of skipped frames of a live source, including those without a time at its beginning.
        stop: set it, possibly from a signal handler, to end reading before the next frame.
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
    _reached: float = 0.0  # latest end of a packet in seconds
    _damaged: int = 0  # number of damaged packets and frames

    def read(self, every: int = 1) -> Iterator[VideoFrame]:
        """Yield every N-th frame. A frame that cannot be decoded is left out and recorded in ``problem``.

        Raises:
            UnreadVideo: no frame can be decoded, or one is too large.
        """
        return _newest_frames(self, self._read(every)) if self.live else self._read(every)

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
            raise UnreadVideo(f"cannot read {self.name}: {self.problem or 'it has no frames'}")
        self._check_end()

    def _decoded(self) -> Iterator[Any]:
        import av

        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._record_problem(_reason(error))
                break
            if packet is None:
                return
            if packet.pts is not None and packet.time_base:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._reached = max(self._reached, end)
            if packet.is_corrupt and not self.live:  # its end is missing
                self._record_damage("its data end in the middle of a frame", packet)
            if packet.stream is self._stream:
                yield from self._frames(packet.decode, packet)
        yield from self._frames(lambda: self._stream.decode(None))  # frames that the decoder still holds

    def _frames(self, decode: Callable[[], Iterable[Any]], packet: Any = None) -> Iterator[Any]:
        import av

        try:
            frames = list(decode())
        except EOFError:  # no frames
            return
        except av.FFmpegError as error:
            self._record_damage(_reason(error), packet)
            return
        for frame in frames:
            if frame.width * frame.height > MAX_PIXELS:
                raise UnreadVideo(_too_large(self.name, frame.width, frame.height))
            if frame.is_corrupt:
                self._record_damage("its data are damaged", packet)
            yield frame

    def _ticks(self, frame: Any) -> int | None:
        """Presentation time of a frame; None for frames without a time at the beginning of a live source."""
        at = frame.pts if frame.pts is not None else frame.dts
        if self._by_clock:
            at = round(time.monotonic() / self.time_base)
        step = max(1, round(1 / (self.rate * self.time_base)))
        if at is None and self.live and self._first is None:
            return None
        if at is None:  # such as in a raw stream
            at = 0 if self._last is None else self._last + (self._first or 0) + step
        if self._first is None:
            start = self._container.start_time
            is_known = start is not None and not self.live
            self._first = round(Fraction(start, 10**6) / self.time_base) if is_known else at
        ticks = at - self._first
        if self._last is not None and ticks <= self._last:
            ticks = self._last + 1
            if not self.live:
                self._record_problem("the times of its frames do not increase")
        self._last = ticks
        return ticks

    def _check_end(self) -> None:
        """Check whether the file is shorter than its header says, which decoders do not report."""
        duration, start = self._container.duration, self._container.start_time or 0
        names = set(self._container.format.name.split(","))
        if self.problem or self.live or not duration or not names & TIMED_FORMATS:
            return
        missing = (duration + start) / 1e6 - self._reached
        if missing > SHORT_SECONDS + 1 / self.rate:
            self._record_problem(f"it was cut off, {missing:.1f} seconds before its end")

    def _record_damage(self, reason: str, packet: Any) -> None:
        self._damaged += 1
        if packet is None or packet.pts is None or self._first is None:
            self._record_problem(reason)
        else:
            start = float(self._first * self.time_base)
            self._record_problem(reason, float(packet.pts * packet.time_base) - start)

    def _record_problem(self, reason: str, at: float | None = None) -> None:
        """Keep the first problem and its time in seconds; by default the time of the latest frame."""
        if not self.problem:
            latest = float((self._last or 0) * self.time_base)
            self.problem = f"{reason}, at {latest if at is None else at:.2f} seconds"

    @property
    def report(self) -> str:
        """The first problem, and the number of damaged parts."""
        more = f" ({self._damaged} damaged parts in all)" if self._damaged > 1 else ""
        return f"{self.problem}{more}" if self.problem else ""


def is_video(source: str) -> bool:
    """Whether ``source`` names a camera, an address, or a file with the suffix of a video."""
    if Path(source).is_file() or Path(source).is_dir():
        return Path(source).is_file() and Path(source).suffix.lower() in VIDEO_SUFFIXES
    return _is_camera(source) or _is_address(source) or Path(source).suffix.lower() in VIDEO_SUFFIXES


def list_videos(folder: Path) -> list[Path]:
    """The video files directly in a folder, sorted; macOS's ``._NAME`` files are skipped."""
    if not folder.is_dir():
        return []
    files = (child for child in folder.iterdir() if not child.name.startswith("._") and child.is_file())
    return sorted(file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)


def short_name(source: str) -> str:
    """A name for files that are derived from a source: letters, digits, dots and dashes, without a password."""
    if _is_address(source):
        parts = urlsplit(source)
        source = f"{parts.hostname or parts.scheme}{f'-{_port(parts)}' if _port(parts) else ''}{parts.path}"
        return re.sub(r"[^\w.-]+", "-", source).strip("-.") or "stream"
    return f"camera-{re.sub(r'^/dev/video', '', source)}" if _is_camera(source) else Path(source).stem


@contextmanager
def open_video(source: str) -> Iterator[Video]:
    """Open a video file, an address such as rtsp://..., or a camera by its number or its device such as /dev/video0.

    Raises:
        UserError: PyAV is not installed.
        UnreadVideo: the source cannot be opened or contains no video.
    """
    name = public_name(source)
    try:
        import av
    except ImportError as error:
        raise UserError(f"{name} needs PyAV, not installed: pip install 'mobiledet[video]'") from error
    try:
        container = av.open(**_open_arguments(source), mode="r")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadVideo(f"cannot read {name}: {_reason(error)}") from error
    with container:
        if not container.streams.video:
            raise UnreadVideo(f"cannot read {name}: it contains no video")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UnreadVideo(f"cannot read {name}: there is no decoder for it")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MAX_PIXELS:
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
    """The name of a source for messages: an address without user, password and query."""
    if not _is_address(source):
        return f"camera {source}" if source.isdecimal() else source
    parts = urlsplit(source)
    port = f":{_port(parts)}" if _port(parts) else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _open_arguments(source: str) -> dict[str, Any]:
    """Arguments for PyAV's ``open``."""
    if _is_camera(source):
        kind, device = CAMERAS.get(sys.platform, ("", ""))
        if not kind:
            raise UnreadVideo(f"cameras work on Linux and macOS, not on {sys.platform}; give an address or a file")
        return {"file": device.format(source) if source.isdecimal() else source, "format": kind}
    if _is_address(source):
        # RTSP over TCP, which loses no packets
        options = {"rtsp_transport": "tcp"} if source.lower().startswith("rtsp") else {}
        return {"file": source, "options": options, "timeout": SILENT_SECONDS}
    if not Path(source).is_file():
        raise UnreadVideo(f"cannot find {source}; give an image, a video, a folder of them, or a camera")
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
    return f"cannot read {name}: {width} x {height} pixels are more than {MAX_PIXELS // 10**6} million"


def _reason(error: Exception) -> str:
    """The reason in an error, without the source, whose address may contain a password."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(reason).split()).lower()


def _upright(frame: Any) -> NDArray[np.uint8]:
    """The pixels of a frame, rotated and mirrored according to its display matrix, to the nearest quarter turn."""
    pixels = frame.to_ndarray(format="rgb24")
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return np.asarray(pixels)
    # (x, y) becomes (a x + c y, b x + d y)
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _newest_frames(video: Video, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Yield the newest frame each time; a thread keeps reading in between."""
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
        except BaseException as raised:  # raised again in the consumer's thread
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
