// The agent apart from the browser. The engine is a double, which replays what a detector gave for the golden inputs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Agent } from "../src/agent/agent.js";
import { checksum } from "../src/core/checksums.js";
import { fromOutputs } from "../src/core/detections.js";
import { placementOf, toImage } from "../src/core/placement.js";
import { bytes, cases, schema } from "../testing/vectors.mjs";

const LIMITS = { body_bytes: 1 << 20, bundle_bytes: 1 << 20, sessions: 2, idle_seconds: 600, wait_seconds: 30 };
const PLAN = { warmup_runs: 1, warmup_seconds: 0, warmup_limit_seconds: 0, runs: 3, seconds: 0, fps: 0, state_seconds: 0 };
const TIMES = { decode: 0, preprocess: 1, infer: 2, postprocess: 1 };

class ReplayingEngine {
  height = 32;
  width = 32;
  loadNs = 5;
  closed = false;

  constructor(recordings) {
    this.recordings = recordings;
    this.measuring = null;
  }

  async call(name, args = {}) {
    if (name === "detectInput") return this.#detect(args.image);
    if (name === "detectFile" && args.file.length > 1) return this.#recorded(2, 24, 40); // the golden picture, not decoded
    if (name === "detectFile") return { height: 2, width: 3, boxes: [], scores: [], labels: [], times: TIMES, problem: "" };
    if (name === "firstRun") return { firstInferNs: 7 };
    if (name === "memory") return 1000;
    if (name === "measure") return new Promise((resolve, reject) => (this.measuring = { resolve, reject }));
    if (name === "stop") this.measuring?.reject(new Error(args.reason));
    return undefined;
  }

  close() {
    this.closed = true;
  }

  #detect(image) {
    const found = this.recordings.find(({ input_sha256 }) => input_sha256 === checksum(image));
    return this.#recorded(this.recordings.indexOf(found), 1, 1);
  }

  #recorded(index, height, width) {
    const found = this.recordings[index];
    const outputs = Object.fromEntries(["boxes", "classes", "scores", "count"].map((name) => [name, Float32Array.from([found[name]].flat(2))]));
    const placement = placementOf(height, width, { height: 32, width: 32, resize: "stretch" });
    return { height, width, ...toImage(fromOutputs(outputs, 3), placement), times: TIMES, problem: "" };
  }
}

function start(recordings = cases("recordings")) {
  const listeners = [];
  let foreground = true;
  const engines = [];
  const runtime = {
    load: async () => engines[engines.push(new ReplayingEngine(recordings)) - 1],
    condition: () => ({ memory_bytes: null, foreground }),
    onCondition: (listener) => listeners.push(listener),
  };
  const device = { name: "browser", model: "m", os: "o", cpu: "c", cores: 1, runtime: "litert-wasm", runtime_version: "v" };
  const agent = new Agent({ version: "test", device, limits: LIMITS, schema: schema(), threads: 1 }, runtime, () => {});
  const sent = [];
  const ask = async (method, path, body = "") => {
    const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const reply = await agent.handle({ method, path, body: content }, async (line) => void sent.push(line));
    return { status: reply.status, body: reply.body && !reply.type.includes("ndjson") ? JSON.parse(reply.body) : reply.body };
  };
  const setForeground = (value) => {
    foreground = value;
    listeners.forEach((listener) => listener({ foreground }));
  };
  return { ask, sent, engines, setForeground };
}

async function openSession({ ask }, changes = {}) {
  const archive = bytes("bundles/good.zip");
  const { sha256 } = cases("bundles")[0];
  await ask("PUT", `/v1/bundles/${sha256}`, archive);
  const request = { key: "a key", bundle: sha256, file: "float32", accelerator: "auto", threads: 0, ...changes };
  return { request, ...(await ask("POST", "/v1/sessions", JSON.stringify(request))) };
}

test("exchanges with a new agent", async () => {
  const { ask } = start();
  for (const item of cases("exchanges").filter(({ auth }) => auth === "Bearer TOKEN")) {
    const body = item.file ? bytes(`bundles/${item.file}`) : (item.text ?? "");
    const { status, body: answer } = await ask(item.method, item.path, body);
    assert.equal(status, item.status, JSON.stringify(item));
    if (status >= 400) assert.equal(answer.code, item.code, JSON.stringify(item));
  }
});

test("a session passes the golden gate and returns lines", async () => {
  const agent = start();
  const { body: session } = await openSession(agent);
  const path = `/v1/sessions/${session.id}`;
  assert.equal((await agent.ask("POST", `${path}/tensor`, new Uint8Array(32 * 32 * 3))).body.code, "golden_required");
  assert.equal((await agent.ask("POST", `${path}/golden`)).body.cases, 3);
  const batch = new Uint8Array([0, 0, 0, 1, 9, 0, 0, 0, 1, 9]);
  const { status, body } = await agent.ask("POST", `${path}/images`, batch);
  assert.equal(status, 200);
  const lines = [...agent.sent, body].map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ index }) => index), [0, 1]);
});

test("zeros fail the golden gate", async () => {
  const zeros = cases("recordings").map((item) => ({ ...item, boxes: item.boxes.flat().map(() => 0), scores: item.scores.map(() => 0) }));
  const agent = start(zeros);
  const { body: session } = await openSession(agent);
  const { status, body } = await agent.ask("POST", `/v1/sessions/${session.id}/golden`);
  assert.deepEqual([status, body.code], [409, "golden_failed"]);
  assert.match(body.error, /all scores are zero/);
});

test("requests for too many threads are refused", async () => {
  const { status, body } = await openSession(start(), { threads: 4 });
  assert.deepEqual([status, body.code], [422, "refused"]);
  assert.match(body.error, /4 threads are requested, but this page has 1; .*localhost/);
});

test("nothing is measured in the background", async () => {
  const agent = start();
  const { body: session } = await openSession(agent);
  const path = `/v1/sessions/${session.id}`;
  await agent.ask("POST", `${path}/golden`);
  const { body: job } = await agent.ask("POST", `${path}/bench`, JSON.stringify({ key: "k", plan: PLAN }));
  while (!agent.engines[0].measuring) await new Promise((resolve) => setTimeout(resolve));
  agent.setForeground(false);
  const { body: ended } = await agent.ask("GET", `/v1/jobs/${job.id}?wait=5`);
  assert.deepEqual([ended.status, ended.error.code], ["failed", "background"]);
  for (const endpoint of ["golden", "images", "tensor", "bench"]) {
    const bodies = { images: new Uint8Array([0, 0, 0, 1, 9]), tensor: new Uint8Array(32 * 32 * 3), bench: JSON.stringify({ key: "l", plan: PLAN }) };
    const { status, body } = await agent.ask("POST", `${path}/${endpoint}`, bodies[endpoint]);
    assert.deepEqual([status, body.code], [409, "background"], endpoint);
  }
  agent.setForeground(true);
  assert.equal((await agent.ask("POST", `${path}/images`, new Uint8Array([0, 0, 0, 1, 9]))).status, 200);
});

test("a benchmark has three cold starts in separate workers, and its key identifies it", async () => {
  const agent = start();
  const { body: session } = await openSession(agent);
  const path = `/v1/sessions/${session.id}`;
  await agent.ask("POST", `${path}/golden`);
  const request = JSON.stringify({ key: "k", plan: PLAN });
  const { body: job } = await agent.ask("POST", `${path}/bench`, request);
  assert.equal((await agent.ask("POST", `${path}/bench`, request)).body.id, job.id);
  const other = await agent.ask("POST", `${path}/bench`, JSON.stringify({ key: "k", plan: { ...PLAN, runs: 4 } }));
  assert.equal(other.body.code, "key_reused");
  assert.equal((await agent.ask("POST", `${path}/bench`, JSON.stringify({ key: "l", plan: PLAN }))).body.code, "busy");
  while (!agent.engines[0].measuring) await new Promise((resolve) => setTimeout(resolve));
  agent.engines[0].measuring.resolve({ infer_ns: [1, 1, 1] });
  const { body: ended } = await agent.ask("GET", `/v1/jobs/${job.id}?wait=5`);
  assert.equal(ended.status, "done");
  assert.deepEqual(ended.samples.cold_starts, Array(3).fill({ load_ns: 5, first_infer_ns: 7, memory_bytes: null }));
  assert.deepEqual(agent.engines.map(({ closed }) => closed), [false, true, true, true]);
});

test("sessions are limited, and one in use is not closed for another", async () => {
  const agent = start();
  for (const key of ["1", "2"]) assert.equal((await openSession(agent, { key })).status, 201);
  const third = await openSession(agent, { key: "3" });
  assert.deepEqual([third.status, third.body.code], [429, "too_many_sessions"]);
});
