"""Writes frames to a video file, with the times of the original frames."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.errors import UserError

BT601, VIDEO_RANGE = (
    5,
    1,
)  # PyAV's conversion from RGB to YUV; players assume BT.709 for large videos without this information
OPTIONS = {"preset": "veryfast", "crf": "20"}


class VideoWriter:
    """An MP4 file in H.264, without sound. The file is complete only after ``close``.

    Args:
        path: path of the file, with any suffix.
        time_base: duration of a tick in seconds.
        rate: approximate frame rate.

    Attributes:
        scaled: number of frames that were scaled to the size of the first.

    Raises:
        UserError: this build of PyAV has no encoder.
    """

    def __init__(self, path: Path, time_base: Fraction, rate: Fraction) -> None:
        import av

        self.scaled = 0
        self._time_base, self._rate = time_base, rate
        self._stream: Any = None
        try:
            av.Codec("h264", "w")
        except (av.FFmpegError, ValueError) as error:
            raise UserError(
                "this build of PyAV has no encoder of H.264: take the published wheel, or write NDJSON alone "
                "(--write ndjson)"
            ) from error
        self._container = av.open(str(path), mode="w", format="mp4", options={"movflags": "faststart"})

    def add(self, pixels: NDArray[np.uint8], ticks: int) -> None:
        """Add a frame, height x width x 3 uint8 RGB, shown from ``ticks`` on, which must increase."""
        import av

        # colours are stored for blocks of 2 x 2 pixels: for an odd side, the last row or column is repeated
        pixels = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("h264", rate=self._rate, options=OPTIONS)
            self._stream.height, self._stream.width = pixels.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.colorspace = BT601
            self._stream.codec_context.color_range = VIDEO_RANGE
            self._stream.time_base = self._stream.codec_context.time_base = self._time_base
        size = self._stream.width, self._stream.height
        if pixels.shape[1::-1] != size:
            self.scaled += 1
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = ticks, self._time_base
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the remaining frames and the index."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()
