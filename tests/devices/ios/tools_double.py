"""A double of devicectl, pymobiledevice3 and iproxy, under whose names it is linked; its app is the Python agent.

Nothing here has met an iPhone: the answers are written after the documents of these tools and after answers of theirs
that people have published. $STATE is a folder with what the phones are and were told.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

STATE = Path(os.environ["STATE"])


def devicectl(words: list[str]) -> None:
    answer = Path(words[words.index("--json-output") + 1])
    result: dict[str, object] = {}
    if words[:2] == ["list", "devices"]:
        result = json.loads((STATE / "devicectl.json").read_text())
    elif words[:3] == ["device", "process", "launch"]:
        if (STATE / "no_app").exists():
            error = {"userInfo": {"NSLocalizedDescription": {"string": "The application is not installed."}}}
            answer.write_text(json.dumps({"error": error, "info": {"outcome": "failed"}}))
            sys.exit(1)
        token, port = (os.environ[f"DEVICECTL_CHILD_MOBILEDET_{name}"] for name in ("TOKEN", "PORT"))
        result = {"process": {"processIdentifier": start_app(token, port)}}
    elif words[:3] == ["device", "process", "terminate"]:
        os.kill(int(words[words.index("--pid") + 1]), 15)
    elif words[:3] == ["device", "copy", "from"]:
        Path(words[words.index("--destination") + 1]).write_text("started\nno room for it\n")
    answer.write_text(json.dumps({"info": {"outcome": "success"}, "result": result}))


def start_app(token: str, port: str) -> int:
    (STATE / "token").write_text(token)
    command = [sys.executable, "-m", "mobiledet.cli", "agent", "--port", port, "--token-file", str(STATE / "token")]
    if (STATE / "mute").exists():
        command = ["sleep", "60"]
    else:
        command += ["--cache", str(STATE / "cache")]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True).pid


def forward(port: int, phone_port: int) -> None:
    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while block := source.recv(65536):
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            target.close()

    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", phone_port))
            except OSError:
                near.close()
                continue
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()


if __name__ == "__main__":
    name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (STATE / "log").open("a") as log:
        log.write(f"{name} {' '.join(arguments)}\n")
    if name == "xcrun":
        devicectl(arguments[1:])
    elif name == "iproxy":
        forward(*map(int, arguments[-1].split(":")))
    elif arguments[:2] == ["usbmux", "list"]:
        print((STATE / "usbmux.json").read_text())
    elif arguments[:2] == ["usbmux", "forward"]:
        forward(int(arguments[-2]), int(arguments[-1]))
