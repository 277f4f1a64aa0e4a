"""Checks of an agent, one function for each requirement of apps/PROTOCOL.md; a violation raises ``Broken``."""

import dataclasses
import json
import secrets
from collections.abc import Callable
from typing import Any

from mobiledet.devices.agent.checks_transport import (
    a_body_over_the_limit_is_refused,
    a_request_for_another_host_is_refused,
    a_request_of_another_page_is_refused,
    a_request_with_two_lengths_is_refused,
    a_request_without_the_token_is_refused,
    an_unknown_endpoint_is_named,
)
from mobiledet.devices.agent.client import AgentDevice, zipped
from mobiledet.devices.agent.forged import fresh_copy, with_entry, with_golden, with_huge_entry, with_link
from mobiledet.devices.agent.messages import PROTOCOL, AgentInfo, JobInfo, SessionInfo
from mobiledet.devices.agent.subject import Broken, Subject
from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, DeviceState
from mobiledet.errors import UserError
from mobiledet.golden import GoldenInput

SHORT_PLAN = BenchmarkPlan(warmup_runs=1, warmup_seconds=0, warmup_limit_seconds=0, runs=5, seconds=0)
LONG_PLAN = {**vars(SHORT_PLAN), "seconds": 600}
PACED_PLAN = BenchmarkPlan(
    warmup_runs=1, warmup_seconds=0, warmup_limit_seconds=0, runs=6, seconds=2, fps=4, state_seconds=0.5
)


def info_names_the_version(subject: Subject) -> None:
    info: AgentInfo = subject.message(AgentInfo, 200, "GET", "/v1/info")
    if info.protocol != PROTOCOL:
        raise Broken(f"protocol is {info.protocol}, not {PROTOCOL}")


def state_is_told(subject: Subject) -> None:
    subject.message(DeviceState, 200, "GET", "/v1/state")


def unknown_things_are_named(subject: Subject) -> None:
    subject.expect(404, "unknown_bundle", "GET", f"/v1/bundles/{'0' * 64}")
    subject.expect(404, "unknown_bundle", "POST", "/v1/sessions", subject.request(bundle="0" * 64))
    subject.expect(404, "unknown_session", "POST", "/v1/sessions/nobody/golden")
    subject.expect(404, "unknown_session", "DELETE", "/v1/sessions/nobody")
    subject.expect(404, "unknown_job", "GET", "/v1/jobs/nobody")


def malformed_messages_are_refused(subject: Subject) -> None:
    request = dataclasses.asdict(subject.request())
    for body in (
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        json.dumps({**request, "thread": 1}).encode(),
        json.dumps({**request, "threads": "1"}).encode(),
        *(json.dumps({**request, "threads": number}).encode() for number in (-1, 513, 1 << 31, 10**400)),
        json.dumps({**request, "key": ""}).encode(),
        json.dumps({key: value for key, value in request.items() if key != "key"}).encode(),
    ):
        subject.expect(400, "bad_request", "POST", "/v1/sessions", body)
    subject.expect(400, "bad_request", "GET", "/v1/bundles/..%2f..%2fetc")


def a_bundle_is_taken_once(subject: Subject) -> None:
    bundle = fresh_copy(subject.bundle, subject.file, subject.folder)
    path = f"/v1/bundles/{bundle.sha256}"
    subject.expect(404, "unknown_bundle", "GET", path)
    statuses = [subject.upload(bundle), subject.upload(bundle)]
    if statuses != [201, 200]:
        raise Broken(f"the same upload twice answers {statuses}, not [201, 200]")
    subject.expect(200, "", "GET", path)
    subject.expect(204, "", "DELETE", path)
    subject.expect(404, "unknown_bundle", "GET", path)


def a_bundle_under_a_wrong_checksum_is_refused(subject: Subject) -> None:
    with zipped(subject.bundle) as archive:
        subject.refuses_archive(archive.read_bytes(), secrets.token_hex(32))


def dangerous_archives_are_refused(subject: Subject) -> None:
    bundle = fresh_copy(subject.bundle, subject.file, subject.folder)
    with zipped(bundle) as archive:
        for content in (
            b"no zip",
            with_entry(archive, "../escaped"),
            with_entry(archive, "/escaped"),
            with_link(archive),
            with_huge_entry(archive),
        ):
            subject.refuses_archive(content, bundle.sha256)


def a_bundle_with_a_file_that_is_not_listed_is_refused(subject: Subject) -> None:
    bundle = fresh_copy(subject.bundle, subject.file, subject.folder)
    with zipped(bundle) as archive:
        subject.refuses_archive(with_entry(archive, "notes.txt"), bundle.sha256)


def malformed_golden_cases_are_refused(subject: Subject) -> None:
    bundle = fresh_copy(subject.bundle, subject.file, subject.folder)

    def outputs(values: dict[str, Any]) -> dict[str, Any]:
        first: dict[str, Any] = values["files"][subject.file.path]["outputs"][0]
        return first

    for change in (
        lambda values: values.pop("version"),
        lambda values: values.update(version=3),
        lambda values: values.update(cases=[]),
        lambda values: values.update(files={}),
        lambda values: values["cases"][0].update(input="../labels.txt"),
        lambda values: values["files"][subject.file.path]["tolerance"]["accelerated"].update(iou=0.1),
        lambda values: outputs(values)["boxes"].append([0, 0, 1, 1]),
        lambda values: outputs(values).update(cut=1.5),
    ):
        subject.refuses_archive(*with_golden(bundle, subject.folder, change))


def a_truncated_upload_leaves_nothing(subject: Subject) -> None:
    bundle = fresh_copy(subject.bundle, subject.file, subject.folder)
    path = f"/v1/bundles/{bundle.sha256}"
    with zipped(bundle) as archive:
        content = archive.read_bytes()
    subject.refuses_archive(content[: len(content) // 2], bundle.sha256)
    # the same, but the connection breaks: the agent may answer or not
    connection = subject.begin("PUT", path, len(content))
    connection.send(content[: len(content) // 2])
    connection.close()
    subject.expect(404, "unknown_bundle", "GET", path)


def a_session_opens_once_for_a_key(subject: Subject) -> None:
    subject.upload(subject.bundle)
    request = subject.request()
    first, second = (subject.message(SessionInfo, 201, "POST", "/v1/sessions", request) for _ in range(2))
    if first != second or first.bundle != subject.bundle.sha256:
        raise Broken("the same request for a session returns two different ones, or one of another bundle")
    changed = dataclasses.replace(request, threads=2)
    subject.expect(409, "key_reused", "POST", "/v1/sessions", changed)
    subject.expect(204, "", "DELETE", f"/v1/sessions/{first.id}")


def a_closed_session_is_gone(subject: Subject) -> None:
    path = subject.session()
    subject.expect(204, "", "DELETE", path)
    subject.expect(404, "unknown_session", "DELETE", path)
    subject.expect(404, "unknown_session", "POST", f"{path}/images", _batch(b"x"))


def what_the_device_does_not_have_is_refused(subject: Subject) -> None:
    subject.upload(subject.bundle)
    subject.expect(422, "refused", "POST", "/v1/sessions", subject.request(accelerator="abacus"))
    subject.expect(422, "refused", "POST", "/v1/sessions", subject.request(file="none.tflite"))


def nothing_runs_before_the_golden_gate(subject: Subject) -> None:
    path = subject.session(golden=False)
    for endpoint, body in _work(subject):
        subject.expect(409, "golden_required", "POST", f"{path}/{endpoint}", body)
    subject.expect(204, "", "DELETE", path)


def wrong_outputs_fail_the_golden_gate(subject: Subject) -> None:
    _fails_the_golden_gate(subject, lambda case: True)


def a_wrong_answer_to_an_encoded_picture_fails_the_golden_gate(subject: Subject) -> None:
    recorded = subject.bundle.recorded
    encoded = [
        len(outputs.scores)
        for case, outputs in zip(recorded.cases, recorded.files[subject.file.path].outputs, strict=True)
        if case.encoded
    ]
    if any(encoded):
        _fails_the_golden_gate(subject, lambda case: case.encoded)


def _fails_the_golden_gate(subject: Subject, is_wrong: Callable[[GoldenInput], bool]) -> None:
    bundle = fresh_copy(subject.bundle, subject.file, subject.folder, is_wrong)
    subject.upload(bundle)
    request = subject.request(bundle=bundle.sha256)
    info: SessionInfo = subject.message(SessionInfo, 201, "POST", "/v1/sessions", request)
    path = f"/v1/sessions/{info.id}"
    subject.expect(409, "golden_failed", "POST", f"{path}/golden")
    for endpoint, body in _work(subject):
        subject.expect(409, "golden_required", "POST", f"{path}/{endpoint}", body)
    subject.expect(204, "", "DELETE", path)
    subject.expect(204, "", "DELETE", f"/v1/bundles/{bundle.sha256}")


def images_and_tensors_pass_the_gate_of_the_host(subject: Subject) -> None:
    for mode in ("image", "tensor"):
        try:
            AgentDevice(subject.url, subject.token, mode).load(subject.bundle, subject.file).golden()  # type: ignore[arg-type]
        except UserError as error:
            raise Broken(f"mode {mode}: {error}") from error


def a_broken_batch_is_refused(subject: Subject) -> None:
    path = subject.session()
    subject.expect(400, "bad_request", "POST", f"{path}/images", b"")
    subject.expect(400, "bad_request", "POST", f"{path}/images", (9).to_bytes(4, "big") + b"short")
    subject.expect(400, "bad_request", "POST", f"{path}/tensor", b"short")
    reply = subject.expect(200, "", "POST", f"{path}/images", _batch(b"no picture") * 2)
    lines = [json.loads(line) for line in reply.content.splitlines()]
    if [line.get("index") for line in lines] != [0, 1] or not all(line.get("problem") for line in lines):
        raise Broken("two invalid images do not result in two lines with a problem")
    subject.expect(204, "", "DELETE", path)


def a_benchmark_gives_samples(subject: Subject) -> None:
    _measured(subject, SHORT_PLAN)


def a_paced_benchmark_keeps_its_pace(subject: Subject) -> None:
    """``AgentSession.benchmark`` refuses runs that start before they are due; this also refuses much later ones."""
    samples = _measured(subject, PACED_PLAN)
    if samples is None:
        return
    interval = 1e9 / PACED_PLAN.fps
    late = [start % interval for start in samples.started_ns if start % interval > interval / 2]
    if late:
        raise Broken(f"{len(late)} of {len(samples.started_ns)} runs start far from the times of their images")
    if len(samples.states) < 4:
        raise Broken(f"{len(samples.states)} states in 2 s are reported, but one was requested every 0.5 s")


def a_benchmark_can_be_cancelled(subject: Subject) -> None:
    if _measured(subject, SHORT_PLAN) is None:
        return  # its times mean nothing, so there is no work to cancel
    path = subject.session()
    request = json.dumps({"key": secrets.token_hex(16), "plan": LONG_PLAN}).encode()
    first, second = (subject.message(JobInfo, 202, "POST", f"{path}/bench", request) for _ in range(2))
    if first.id != second.id:
        raise Broken("the same request for a benchmark starts two")
    other = json.dumps({"key": secrets.token_hex(16), "plan": LONG_PLAN}).encode()
    subject.expect(409, "busy", "POST", f"{path}/bench", other)
    waited: JobInfo = subject.message(JobInfo, 200, "GET", f"/v1/jobs/{first.id}?wait=0.2")
    if waited.status != "running":
        raise Broken(f"a benchmark of ten minutes is {waited.status} at once")
    for _ in range(2):
        subject.expect(200, "", "DELETE", f"/v1/jobs/{first.id}")
    ended: JobInfo = subject.message(JobInfo, 200, "GET", f"/v1/jobs/{first.id}?wait=20")
    if ended.status != "cancelled":
        raise Broken(f"a cancelled benchmark is {ended.status}")
    subject.expect(204, "", "DELETE", path)


def an_impossible_plan_is_refused(subject: Subject) -> None:
    path = subject.session()
    for change in (
        {"runs": 0},
        {"seconds": -1},
        {"warmup_runs": -1},
        {"runs": 1.5},
        {"fps": -1},
        {"state_seconds": -1},
        {"runs": 10**400},
        {"warmup_runs": 1 << 31},
        {"seconds": 86_401},
        {"fps": 1001},
    ):
        body = json.dumps({"key": "k", "plan": {**LONG_PLAN, **change}}).encode()
        subject.expect(400, "bad_request", "POST", f"{path}/bench", body)
    subject.expect(204, "", "DELETE", path)


def _measured(subject: Subject, plan: BenchmarkPlan) -> BenchmarkSamples | None:
    """The samples of a benchmark; None from an agent whose times are meaningless."""
    try:
        session = AgentDevice(subject.url, subject.token).load(subject.bundle, subject.file)
        session.golden()
        return session.benchmark(plan)
    except UserError as error:
        raise Broken(str(error)) from error


def _batch(image: bytes) -> bytes:
    return len(image).to_bytes(4, "big") + image


def _work(subject: Subject) -> list[tuple[str, bytes]]:
    """Endpoints that run the file, each with a valid body."""
    size = subject.bundle.spec.input
    plan = json.dumps({"key": secrets.token_hex(16), "plan": LONG_PLAN}).encode()
    return [("images", _batch(b"x")), ("tensor", bytes(size.height * size.width * 3)), ("bench", plan)]


CHECKS: tuple[Callable[[Subject], None], ...] = (
    info_names_the_version,
    state_is_told,
    a_request_without_the_token_is_refused,
    a_request_for_another_host_is_refused,
    a_request_of_another_page_is_refused,
    a_request_with_two_lengths_is_refused,
    an_unknown_endpoint_is_named,
    unknown_things_are_named,
    malformed_messages_are_refused,
    a_bundle_is_taken_once,
    a_bundle_under_a_wrong_checksum_is_refused,
    dangerous_archives_are_refused,
    a_bundle_with_a_file_that_is_not_listed_is_refused,
    malformed_golden_cases_are_refused,
    a_truncated_upload_leaves_nothing,
    a_body_over_the_limit_is_refused,
    a_session_opens_once_for_a_key,
    a_closed_session_is_gone,
    what_the_device_does_not_have_is_refused,
    nothing_runs_before_the_golden_gate,
    wrong_outputs_fail_the_golden_gate,
    a_wrong_answer_to_an_encoded_picture_fails_the_golden_gate,
    images_and_tensors_pass_the_gate_of_the_host,
    a_broken_batch_is_refused,
    a_benchmark_gives_samples,
    a_paced_benchmark_keeps_its_pace,
    a_benchmark_can_be_cancelled,
    an_impossible_plan_is_refused,
)
