"""A small RTSP camera (RFC 2326) that sends H.264 in RTP (RFC 6184) through its own connection.

A double: no camera and no RTSP server can be had from the package registries. The other side is FFmpeg's real client.
"""

import socket
import struct
import threading
import time
from collections.abc import Sequence

SDP = """v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=camera\r
c=IN IP4 127.0.0.1\r
t=0 0\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1\r
a=control:track1\r
"""


class RtspCamera:
    """Sends each access unit (Annex B) at its time to the first client, then ends the session.

    Attributes:
        url: of the camera.
    """

    def __init__(self, units: Sequence[bytes], seconds: Sequence[float]) -> None:
        self._units, self._seconds = units, seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/cam"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, client.makefile("rb") as lines:
            while True:
                request = lines.readline().decode().split()
                headers = dict(iter(lambda: tuple(lines.readline().decode().strip().partition(": ")[::2]), ("", "")))
                if not request:
                    return
                answer, body = {"Public": "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"}, ""
                if request[0] == "DESCRIBE":
                    body = SDP
                    answer = {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
                elif request[0] == "SETUP":
                    answer = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
                head = {"CSeq": headers["CSeq"], "Session": "1", **answer}
                text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
                client.sendall(f"RTSP/1.0 200 OK\r\n{text}\r\n{body}".encode())
                if request[0] == "PLAY":
                    return self._play(client)

    def _play(self, client: socket.socket) -> None:
        started, number = time.monotonic(), 0
        for unit, second in zip(self._units, self._seconds, strict=True):
            time.sleep(max(0.0, started + second - time.monotonic()))
            parts = [part.strip(b"\0") for part in unit.split(b"\0\0\1") if part.strip(b"\0")]
            for part in parts:
                marker = 128 if part is parts[-1] else 0
                packet = struct.pack("!BBHII", 128, marker | 96, number, int(second * 90_000), 1) + part
                try:
                    client.sendall(struct.pack("!cBH", b"$", 0, len(packet)) + packet)
                except OSError:  # nobody looks any more
                    return
                number += 1
