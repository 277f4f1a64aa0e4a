"""A double of adbd, the daemon that runs on a phone: enough of its protocol for the real adb client.

It stands in where no phone is: CNXN, AUTH (signatures are not verified), shell v1 and v2, exec, sync with STAT, SEND
and RECV, and tcp for ``adb forward``. Commands run in /bin/sh of this machine, with the double's own environment; what
they name of /data/local/tmp lies in a folder. Written after Android's documents protocol.txt, SERVICES.TXT and
SYNC.TXT; `make test-adbd` runs the same tests against the real daemon.
"""

import asyncio
import itertools
import os
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

COMMANDS = (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"WRTE", b"CLSE")
CNXN, AUTH, OPEN, OKAY, WRTE, CLSE = (int.from_bytes(name, "little") for name in COMMANDS)
AUTH_TOKEN, AUTH_PUBLIC_KEY = 1, 3
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
VERSION = 0x01000001  # from here on checksums may be zero
MOST = 64 << 10
DATA = "/data/local/tmp"


class Connection:
    """One adb server that has connected."""

    def __init__(self, double: "AdbdDouble", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.double, self.reader, self.writer = double, reader, writer
        self.streams: dict[int, Stream] = {}

    async def serve(self) -> None:
        try:
            while True:
                command, arg0, arg1, length, _, _ = struct.unpack("<6I", await self.reader.readexactly(24))
                self.take(command, arg0, arg1, await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for stream in list(self.streams.values()):
                stream.hang_up()
            self.writer.close()

    def take(self, command: int, arg0: int, arg1: int, data: bytes) -> None:
        auth = self.double.auth
        if command == CNXN and auth != "none":
            self.send(AUTH, AUTH_TOKEN, 0, os.urandom(20))
        elif command == CNXN or (command == AUTH and arg0 == AUTH_PUBLIC_KEY and auth == "accept"):
            banner = f"device::ro.product.name=double;ro.product.model=Double_Phone;features={self.double.features}"
            self.send(CNXN, VERSION, MOST, banner.encode())
        elif command == AUTH and arg0 != AUTH_PUBLIC_KEY:  # a signature; none is known here
            self.send(AUTH, AUTH_TOKEN, 0, os.urandom(20))
        elif command == OPEN:
            number = next(self.double.numbers)
            self.streams[number] = Stream(self, number, arg0)
            self.streams[number].start(data.rstrip(b"\0").decode())
        elif command in (OKAY, WRTE, CLSE) and (stream := self.streams.get(arg1)):
            if command == OKAY:
                stream.ready.set()
            elif command == WRTE:
                stream.given.put_nowait(data)
                self.send(OKAY, stream.own, stream.other)
            else:
                stream.hang_up()

    def send(self, command: int, arg0: int, arg1: int, data: bytes = b"") -> None:
        checksum = sum(data) & 0xFFFFFFFF
        with suppress(ConnectionError):
            self.writer.write(struct.pack("<6I", command, arg0, arg1, len(data), checksum, command ^ 0xFFFFFFFF) + data)


class Stream:
    """One service that was opened: what comes is in ``given``, None at its end."""

    def __init__(self, connection: Connection, own: int, other: int) -> None:
        self.connection, self.own, self.other = connection, own, other
        self.given: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.ready = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None
        self.rest = b""

    def start(self, service: str) -> None:
        kind, _, rest = service.partition(":")
        name, *options = kind.split(",")
        serve = {"shell": self.shell, "exec": self.shell, "sync": self.sync, "tcp": self.tcp}.get(name)
        if serve is None:
            self.connection.send(CLSE, 0, self.other)
            return
        self.connection.send(OKAY, self.own, self.other)
        self.ready.set()
        task = asyncio.ensure_future(self.run(serve(rest, "v2" in options)))
        self.connection.double.tasks.add(task)
        task.add_done_callback(self.connection.double.tasks.discard)

    async def run(self, service: "asyncio.Future[None]") -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await service
        if self.connection.streams.pop(self.own, None):
            self.connection.send(CLSE, self.own, self.other)

    def hang_up(self) -> None:
        """The other side has gone: as adbd does, hang up on the shell and close its input."""
        self.connection.streams.pop(self.own, None)
        self.given.put_nowait(None)
        self.ready.set()
        if self.process and self.process.returncode is None:
            self.process.send_signal(signal.SIGHUP)

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), MOST):
            await self.ready.wait()
            self.ready.clear()
            self.connection.send(WRTE, self.own, self.other, data[start : start + MOST])

    async def read(self, length: int) -> bytes:
        while len(self.rest) < length:
            block = await self.given.get()
            if block is None:
                raise ConnectionResetError
            self.rest += block
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    async def shell(self, command: str, framed: bool) -> None:
        double = self.connection.double
        words = ["/bin/sh", "-c", command.replace(DATA, str(double.root) + DATA)] if command else ["/bin/sh"]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *words, cwd=double.root, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        feeding = asyncio.ensure_future(self.feed(framed))
        await asyncio.gather(
            self.pass_on(self.process.stdout, STDOUT, framed), self.pass_on(self.process.stderr, STDERR, framed)
        )
        status = await self.process.wait()
        feeding.cancel()
        if framed:
            await self.write(struct.pack("<BIB", EXIT, 1, status & 0xFF))

    async def feed(self, framed: bool) -> None:
        assert self.process
        assert self.process.stdin
        with suppress(ConnectionError):
            while True:
                if framed:
                    kind, length = struct.unpack("<BI", await self.read(5))
                    content = await self.read(length)
                else:
                    kind, content = STDIN, await self.read(1) + self.rest
                    self.rest = b""
                if kind == CLOSE_STDIN:
                    break
                if kind == STDIN:
                    self.process.stdin.write(content)
        self.process.stdin.close()

    async def pass_on(self, reader: asyncio.StreamReader | None, kind: int, framed: bool) -> None:
        assert reader
        while block := await reader.read(MOST // 2):
            await self.write(struct.pack("<BI", kind, len(block)) + block if framed else block)

    async def tcp(self, port: str, _framed: bool) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port.rpartition(":")[2]))

        async def forth() -> None:
            while block := await self.given.get():
                writer.write(block)
            writer.close()

        sending = asyncio.ensure_future(forth())
        while block := await reader.read(MOST):
            await self.write(block)
        sending.cancel()
        writer.close()

    async def sync(self, _rest: str, _framed: bool) -> None:
        while True:
            request, length = struct.unpack("<4sI", await self.read(8))
            if request == b"QUIT":
                return
            name = (await self.read(length)).decode()
            name = name.rpartition(",")[0] if request == b"SEND" else name  # the mode stands behind the comma
            path = self.connection.double.root / name.lstrip("/")
            if request == b"STAT":
                found = path.stat() if path.exists() else None
                mode, size, time = (found.st_mode, found.st_size, int(found.st_mtime)) if found else (0, 0, 0)
                await self.write(struct.pack("<4sIII", b"STAT", mode, size, time))
            elif request == b"SEND":
                await self.receive_file(path)
            elif request == b"RECV":
                content = path.read_bytes()
                for start in range(0, len(content), MOST - 8):
                    block = content[start : start + MOST - 8]
                    await self.write(struct.pack("<4sI", b"DATA", len(block)) + block)
                await self.write(struct.pack("<4sI", b"DONE", 0))

    async def receive_file(self, path: Path) -> None:
        if path.is_dir():
            path = path / "file"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            while True:
                kind, length = struct.unpack("<4sI", await self.read(8))
                if kind == b"DONE":
                    break
                file.write(await self.read(length))
        await self.write(struct.pack("<4sI", b"OKAY", 0))


class AdbdDouble:
    """A phone's daemon on a free port of this machine.

    Args:
        root: folder that stands for the phone's storage.
        features: that it announces; without shell_v2 it is a phone older than Android 7.
        auth: ``none`` lets anyone in, with ``accept`` a person allows it, with ``refuse`` nobody does.
    """

    def __init__(self, root: Path, features: str, auth: str) -> None:
        self.root, self.features, self.auth = root, features, auth
        self.numbers = itertools.count(1)
        self.tasks: set[asyncio.Future[None]] = set()
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self) -> None:
        """Until SIGTERM, which is taken as the cable being pulled: every connection ends, and what hangs on it."""
        pulled = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, pulled.set)
        async with await asyncio.start_server(self.connect, "127.0.0.1", 0) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await pulled.wait()
        for writer in self.writers:
            writer.close()
        while self.tasks:
            await asyncio.sleep(0.02)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await Connection(self, reader, writer).serve()


if __name__ == "__main__":
    asyncio.run(AdbdDouble(Path(sys.argv[1]), sys.argv[2], sys.argv[3]).serve())
