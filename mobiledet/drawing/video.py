"""Frames as a video file, each shown when it was in the one that it comes from."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.errors import UserError

BT601, VIDEO_RANGE = 5, 1  # how PyAV makes YUV of RGB; a large video without a word of it is taken for BT.709
OPTIONS = {"preset": "veryfast", "crf": "20"}


class VideoWriter:
    """An MP4 file in H.264, without sound. Close it: before that the file is not whole.

    Args:
        path: of the file, whatever its suffix.
        time_base: seconds of a tick.
        rate: frames per second, about.

    Attributes:
        scaled: frames of another size than the first, which were brought to that.

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
        """Show height x width x 3 uint8 RGB from ``ticks`` on; they grow from frame to frame."""
        import av

        # colours are kept for two pixels by two: a side that is odd gets a row or column once more
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
        """Write what the encoder still holds, and the index."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()
