"""Messages of the agent protocol, valid and invalid; batches of images; requests to an agent and its replies."""

import base64
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from mobiledet.devices.agent.messages import (
    PROTOCOL,
    AgentInfo,
    BenchRequest,
    BundleInfo,
    ErrorMessage,
    FoundLine,
    JobInfo,
    Limits,
    SessionInfo,
    SessionRequest,
    from_bytes,
    to_bytes,
)
from mobiledet.devices.base import (
    BenchmarkPlan,
    BenchmarkSamples,
    ColdStart,
    DeviceInfo,
    DeviceState,
    Execution,
    GoldenReport,
    StageTimes,
)

DEVICE = DeviceInfo("local", "Phone 9", "Android 16", "ARM Cortex-A510", 8, "litert", "1.4.0")
STATE = DeviceState(
    memory_bytes=123_456_789,
    peak_memory_bytes=None,
    temperatures_c={"skin": 31.5},
    thermal_status="light",
    load=None,
    foreground=True,
    battery=0.75,
    power_saving=False,
)
SAMPLES = BenchmarkSamples(
    infer_ns=(5_000_000, 4_900_000),
    started_ns=(0, 5_100_000),
    warmup_ns=(6_000_000,),
    steady=True,
    cold_starts=(ColdStart(70_000_000, 9_000_000, None),),
    states=(STATE, STATE),
    state_ns=(-1_000, 10_100_000),
)
SESSION_REQUEST = SessionRequest("a key of the client", "0" * 64, "model.float32.tflite", "auto", 0)
BENCH_REQUEST = BenchRequest("another key", BenchmarkPlan())
MESSAGES: tuple[Any, ...] = (
    AgentInfo(PROTOCOL, "mobiledet 1", DEVICE, ("auto", "xnnpack", "gpu"), Limits(1 << 20, 1 << 30, 4, 600, 30)),
    STATE,
    BundleInfo("f" * 64),
    SESSION_REQUEST,
    SessionInfo("s1", "f" * 64, DEVICE, Execution("auto", "xnnpack", 0.875, 4)),
    SessionInfo("s2", "f" * 64, DEVICE, Execution("gpu", "gpu", None, 4)),
    GoldenReport(3, 17, 0.998, 1e-05),
    FoundLine(0, 480, 640, ((0.5, 1.25, 100.0, 200.0),), (0.875,), (2,), StageTimes(1, 2, 3, 4)),
    FoundLine(1, 0, 0, (), (), (), None, "it is not an image of a known format"),
    BENCH_REQUEST,
    JobInfo("j1", "running"),
    JobInfo("j1", "done", SAMPLES),
    JobInfo("j1", "failed", error=ErrorMessage("the app left the foreground", "refused")),
    ErrorMessage("the token is missing or wrong", "unauthorized"),
)
RECEIVED = (SessionRequest, BenchRequest)


def message_cases() -> list[dict[str, Any]]:
    """Each message of the protocol, and requests with one error each."""
    cases = [_case(type(message), to_bytes(message), valid=True) for message in MESSAGES]
    for message in MESSAGES:
        if isinstance(message, RECEIVED):
            cases += [_message(type(message), json.dumps(values).encode()) for values in _damaged(message)]
    text = to_bytes(SESSION_REQUEST)
    broken = [b"", b"{", b"[]", b"null", b"7", b'"text"', b"\xff\xfe", text + b"x", text[:-1] + b",}", b"[" * 2000]
    not_json = [text.replace(b":0}", value) for value in (b":NaN}", b":Infinity}", b":00}", b":+1}", b":0x1}", b":1.}")]
    loose = [text.replace(b'"', b"'"), text.replace(b'"key"', b"key"), b"/* remark */" + text]
    spaced = json.dumps(json.loads(text), indent=2).encode()
    twice = text[:-1] + b',"threads":2}'  # the last one counts
    cases += [_message(SessionRequest, content) for content in (*broken, *not_json, *loose, spaced, twice)]
    return cases + _bound_cases()


def _bound_cases() -> list[dict[str, Any]]:
    """Requests with a number or text at its limit, and beyond it."""
    session, bench = to_bytes(SESSION_REQUEST).decode(), to_bytes(BENCH_REQUEST).decode()
    huge = ("-1", str(1 << 31), "9" * 400, "1e999")
    texts = [session.replace('"threads":0', f'"threads":{value}') for value in ("512", "513", *huge)]
    texts += [session.replace(SESSION_REQUEST.key, key) for key in ("", "k", "é" * 200, "k" * 201)]
    cases = [_message(SessionRequest, text.encode()) for text in texts]
    for name, value in dataclasses.asdict(BENCH_REQUEST.plan).items():
        sound = ("0", "1", "1000", "86400", "10000000")
        for number in (*sound, "1001", "86401", "10000001", *huge):
            text = bench.replace(f'"{name}":{json.dumps(value)}', f'"{name}":{number}')
            cases.append(_message(BenchRequest, text.encode()))
    return cases


def _message(kind: type, content: bytes) -> dict[str, Any]:
    """A request, and whether this package's agent accepts it."""
    try:
        from_bytes(kind, content)
    except ValueError:
        return _case(kind, content, valid=False)
    return _case(kind, content, valid=True)


def _case(kind: type, content: bytes, valid: bool) -> dict[str, Any]:
    try:
        return {"kind": kind.__name__, "valid": valid, "text": content.decode()}
    except UnicodeDecodeError:
        return {"kind": kind.__name__, "valid": valid, "base64": base64.b64encode(content).decode()}


def _damaged(message: Any) -> list[dict[str, Any]]:
    """The message without each field, with each field of another type, and with an additional field."""
    values = dataclasses.asdict(message)
    damaged = [{**values, "thread": 1}]
    for name, value in values.items():
        damaged.append({key: other for key, other in values.items() if key != name})
        damaged += [{**values, name: odd} for odd in (None, True, [], {}, 1.5, "text") if type(odd) is not type(value)]
        if isinstance(value, dict):
            nested = getattr(message, name)
            damaged += [{**values, name: inner} for inner in _damaged(nested)]
    return [json.loads(text) for text in dict.fromkeys(json.dumps(values) for values in damaged)]


def batch_cases() -> list[dict[str, Any]]:
    """Bodies of the image mode, each image after its length; and of the tensor mode, by their length."""

    def row(*images: bytes) -> bytes:
        return b"".join(len(image).to_bytes(4, "big") + image for image in images)

    bodies = [
        (row(b"one"), [3]),
        (row(b"one", b"", b"three"), [3, 0, 5]),
        (row(b"x" * 300), [300]),
        (b"", None),
        (b"\0\0", None),
        (row(b"one") + b"\0\0\0", None),
        ((9).to_bytes(4, "big") + b"short", None),
        (row(b"one") + b"\xff\xff\xff\xffx", None),
    ]
    images = [{"mode": "image", "base64": base64.b64encode(body).decode(), "lengths": found} for body, found in bodies]
    sizes = {0: None, 1: None, 3071: None, 3072: 1, 3073: None, 6144: 2}
    tensors = [{"mode": "tensor", "input": [32, 32], "bytes": size, "count": count} for size, count in sizes.items()]
    return [*images, *tensors]


def exchange_cases(bundles: Path) -> list[dict[str, Any]]:
    """Requests to an agent without bundles, in this order, and the status and code of each reply.

    None of them needs a model that runs. ``auth`` is the value of the header; TOKEN stands for the agent's token.
    """
    good = hashlib.sha256((bundles / "good" / "SHA256SUMS").read_bytes()).hexdigest()
    there, elsewhere = f"/v1/bundles/{good}", f"/v1/bundles/{'0' * 64}"
    session = json.dumps({**dataclasses.asdict(SESSION_REQUEST), "bundle": good})
    cases: list[dict[str, Any]] = []

    def ask(method: str, path: str, status: int, answer: str = "", auth: str = "Bearer TOKEN", **body: str) -> None:
        """``answer``: code of a refusal, else name of the message."""
        key = "code" if status >= 400 else "kind"
        cases.append({"method": method, "path": path, "auth": auth, **body, "status": status, key: answer})

    for auth in ("", "Bearer wrong", "TOKEN", "bearer", "Bearer TOKENx", "Bearer TOKE"):
        ask("GET", "/v1/info", 401, "unauthorized", auth)
    ask("GET", "/v1/nothing", 401, "unauthorized", "")
    ask("PUT", there, 401, "unauthorized", "", file="good.zip")
    ask("GET", "/v1/info", 200, "AgentInfo")
    ask("GET", "/v1/state", 200, "DeviceState")
    for path in ("/v1/nothing", "/v99/info", "/", "/v1/info/", "/v1/bundles", "/v1/jobs/a/b"):
        ask("GET", path, 404, "unknown_endpoint")
    for method, path in (("DELETE", "/v1/info"), ("POST", there), ("GET", "/v1/sessions"), ("PATCH", "/v1/state")):
        ask(method, path, 405, "method_not_allowed")
    for name in ("x", "..%2f..%2fetc", "F" * 64, "0" * 63, "0" * 65):
        ask("GET", f"/v1/bundles/{name}", 400, "bad_request")
    ask("GET", there, 404, "unknown_bundle")
    ask("DELETE", there, 404, "unknown_bundle")
    for path in sorted(bundles.glob("*.zip")):
        if path.name not in ("good.zip", "deflated.zip", "in-a-folder.zip"):
            ask("PUT", there, 422, "bad_bundle", file=path.name)
    ask("PUT", elsewhere, 422, "bad_bundle", file="good.zip")
    ask("GET", there, 404, "unknown_bundle")
    ask("GET", elsewhere, 404, "unknown_bundle")
    ask("PUT", there, 201, "BundleInfo", file="good.zip")
    ask("PUT", there, 200, "BundleInfo", file="deflated.zip")
    ask("GET", there, 200, "BundleInfo")
    ask("POST", "/v1/sessions", 404, "unknown_bundle", text=json.dumps(dataclasses.asdict(SESSION_REQUEST)))
    for change in ({"accelerator": "abacus"}, {"file": "none.tflite"}, {"file": "golden/golden.json"}):
        ask("POST", "/v1/sessions", 422, "refused", text=json.dumps({**json.loads(session), **change}))
    ask("POST", "/v1/sessions", 400, "bad_request", text=json.dumps({**json.loads(session), "threads": -1}))
    ask("POST", "/v1/sessions", 400, "bad_request", text=session[:-1])
    for method, path in (("DELETE", ""), ("POST", "/golden"), ("POST", "/images"), ("POST", "/tensor")):
        ask(method, f"/v1/sessions/nobody{path}", 404, "unknown_session")
    plan = to_bytes(BenchRequest("k", BenchmarkPlan())).decode()
    ask("POST", "/v1/sessions/nobody/bench", 404, "unknown_session", text=plan)
    ask("POST", "/v1/sessions/nobody/bench", 400, "bad_request", text="{}")
    ask("POST", "/v1/sessions/nobody/images?orientation=2", 400, "bad_request", text="x")
    ask("GET", "/v1/jobs/nobody", 404, "unknown_job")
    ask("GET", "/v1/jobs/nobody?wait=soon", 400, "bad_request")
    ask("DELETE", "/v1/jobs/nobody", 404, "unknown_job")
    ask("DELETE", there, 204)
    ask("GET", there, 404, "unknown_bundle")
    return cases
