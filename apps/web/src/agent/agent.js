// The agent: the endpoints of apps/PROTOCOL.md, independent of how requests arrive.

import { splitBatch } from "../core/batch.js";
import { bundleFromZip } from "../core/bundle.js";
import { select } from "../core/choice.js";
import { detectGolden, replayGolden, toleranceFor } from "../core/golden.js";
import { checkMessage } from "../core/schema.js";
import { checkPlan, measure } from "./benchmark.js";
import { Job } from "./job.js";
import { Refusal, refusing } from "./refusal.js";
import { Session, Sessions } from "./sessions.js";
import { Turn } from "./turn.js";

export const PROTOCOL = 1;
export const ACCELERATORS = ["auto", "wasm", "webgpu"];
const CANCEL_SECONDS = 10;
const MAX_BUNDLES = 4; // they are in memory: all bundles of a sweep would exceed the memory of a phone

const NDJSON = "application/x-ndjson";
const JSON_TYPE = "application/json";

export class Agent {
  #bundles = new Map();
  #turn = new Turn();

  /**
   * @param {{device: object, version: string, limits: object, schema: object, threads: number}} settings of this page;
   *   threads is the number that it may use
   * @param {{load: Function, condition: () => object, onCondition: Function}} runtime loads a model file into an engine;
   *   the condition is a DeviceState without the memory, and a listener is called when it changes
   * @param {(event: object) => void} report called with events for the user interface
   */
  constructor(settings, runtime, report) {
    this.settings = settings;
    this.runtime = runtime;
    this.report = report;
    this.sessions = new Sessions(settings.limits);
    runtime.onCondition((condition) => this.#conditionChanged(condition));
    const name = "([^/]+)";
    this.routes = [
      ["GET", "/v1/info", () => json(200, this.#info())],
      ["GET", "/v1/state", async () => json(200, await this.#state())],
      ["GET", `/v1/bundles/${name}`, ({ names }) => json(200, this.#bundle(names[0]) && { sha256: names[0] })],
      ["PUT", `/v1/bundles/${name}`, (request) => this.#addBundle(request)],
      ["DELETE", `/v1/bundles/${name}`, ({ names }) => this.#removeBundle(names[0])],
      ["POST", "/v1/sessions", (request) => this.#openSession(request)],
      ["DELETE", `/v1/sessions/${name}`, ({ names }) => this.#closeSession(names[0])],
      ["POST", `/v1/sessions/${name}/golden`, ({ names }) => this.#golden(names[0])],
      ["POST", `/v1/sessions/${name}/images`, (request) => this.#images(request)],
      ["POST", `/v1/sessions/${name}/tensor`, (request) => this.#tensor(request)],
      ["POST", `/v1/sessions/${name}/bench`, (request) => this.#bench(request)],
      ["GET", `/v1/jobs/${name}`, (request) => this.#job(request)],
      ["DELETE", `/v1/jobs/${name}`, ({ names }) => this.#cancel(names[0])],
    ].map(([method, pattern, serve]) => ({ method, pattern: new RegExp(`^${pattern}$`), serve }));
  }

  /**
   * Serve a request.
   *
   * @param {{method: string, path: string, body: Uint8Array}} request
   * @param {(line: string) => Promise<void>} send sends the lines of a long reply as they are known
   * @returns {Promise<{status: number, type: string, body: string}>} the reply, or the rest that was not sent yet
   */
  async handle(request, send) {
    try {
      const url = new URL(request.path, "http://agent");
      const { serve, names } = this.#route(request.method, url.pathname);
      return await serve({ names, query: url.searchParams, body: request.body, send });
    } catch (error) {
      const known = error instanceof Refusal;
      if (!known) console.error(error);
      const message = known ? error.message : `the agent failed: ${error.message}`;
      return json(known ? error.status : 500, { error: message, code: known ? error.code : "internal" });
    }
  }

  #route(method, path) {
    const matching = this.routes.filter((route) => route.pattern.test(path));
    const route = matching.find((candidate) => candidate.method === method);
    if (route) return { serve: route.serve, names: route.pattern.exec(path).slice(1) };
    if (matching.length) throw new Refusal(405, "method_not_allowed", `${path.slice(0, 80)} has no ${method}`);
    throw new Refusal(404, "unknown_endpoint", `there is no ${path.slice(0, 80)} in version ${PROTOCOL} of the protocol`);
  }

  #info() {
    const { version, device, limits } = this.settings;
    return { protocol: PROTOCOL, agent: version, device, accelerators: ACCELERATORS, limits };
  }

  async #state() {
    const engines = this.sessions.all.map((session) => session.engine);
    const memory = await Promise.all(engines.map((engine) => engine.call("memory")));
    const bytes = memory.length ? memory.reduce((sum, value) => sum + value, 0) : null;
    return { ...this.runtime.condition(), memory_bytes: bytes };
  }

  #conditionChanged(condition) {
    for (const { engine, job } of this.sessions.all) {
      engine.call("setCondition", condition).catch(() => {}); // it may just have been closed
      if (!condition.foreground && job?.running) job.fail("the page left the foreground", "background");
    }
  }

  #bundle(sha256) {
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      throw new Refusal(400, "bad_request", `'${sha256.slice(0, 80)}' is not a SHA-256 in lower-case hex`);
    }
    const bundle = this.#bundles.get(sha256);
    if (!bundle) throw new Refusal(404, "unknown_bundle", `no bundle ${sha256} is here; upload it first`);
    return bundle;
  }

  async #addBundle({ names: [sha256], body }) {
    if (!/^[0-9a-f]{64}$/.test(sha256)) this.#bundle(sha256);
    const isNew = !this.#bundles.has(sha256);
    const bundle = await refusing(422, "bad_bundle", () => bundleFromZip(body, this.settings.limits.bundle_bytes));
    if (bundle.sha256 !== sha256) {
      throw new Refusal(422, "bad_bundle", `the bundle's checksum is ${bundle.sha256}, not ${sha256}`);
    }
    this.#bundles.delete(sha256); // move the latest one to the end
    this.#bundles.set(sha256, bundle);
    if (this.#bundles.size > MAX_BUNDLES) this.#bundles.delete(this.#bundles.keys().next().value);
    this.report({ kind: "bundle", bundle });
    return json(isNew ? 201 : 200, { sha256 });
  }

  #removeBundle(sha256) {
    this.#bundle(sha256);
    this.#bundles.delete(sha256);
    return noContent();
  }

  async #openSession({ body }) {
    const request = this.#message("SessionRequest", body);
    const session = await this.sessions.open(request, () => this.#load(request));
    return json(201, session.info);
  }

  async #load(request) {
    const bundle = this.#bundle(request.bundle);
    if (request.threads < 0) throw new Refusal(400, "bad_request", `threads ${request.threads} is negative`);
    const file = await refusing(422, "refused", () => select(bundle, request.file));
    if (!ACCELERATORS.includes(request.accelerator)) {
      throw new Refusal(422, "refused", `unknown accelerator '${request.accelerator}'; known: ${ACCELERATORS.join(", ")}`);
    }
    const available = this.settings.threads;
    if (request.threads > available) {
      const why = available > 1 ? "" : "; more are available only on https or localhost (such as --device browser:SERIAL)";
      throw new Refusal(422, "refused", `${request.threads} threads are requested, but this page has ${available}${why}`);
    }
    const accelerator = request.accelerator === "auto" ? "wasm" : request.accelerator;
    const threads = accelerator === "wasm" ? request.threads || available : 1;
    const engine = await this.#turn.run(() =>
      refusing(422, "refused", async () => this.#checkSize(await this.#start(bundle, file, threads, accelerator), bundle)),
    );
    await engine.call("setCondition", this.runtime.condition());
    this.report({ kind: "session", bundle, file, threads });
    const execution = { requested: request.accelerator, actual: accelerator, delegated_share: engine.delegatedShare ?? null, threads };
    const device = this.settings.device;
    return new Session(request, bundle, file, engine, { bundle: bundle.sha256, device, execution });
  }

  async #start(bundle, file, threads, accelerator) {
    const content = await bundle.read(file.path);
    return this.runtime.load(content, { threads, accelerator, spec: bundle.spec });
  }

  #checkSize(engine, bundle) {
    const { height, width } = bundle.spec.input;
    if (engine.height === height && engine.width === width) return engine;
    engine.close();
    throw new Error(`the input of the file is ${engine.height} x ${engine.width} pixels, but bundle.json says ${height} x ${width}`);
  }

  #closeSession(id) {
    this.sessions.close(id);
    this.report({ kind: "closed" });
    return noContent();
  }

  async #golden(id) {
    const session = this.sessions.get(id);
    const { bundle, file, engine } = session;
    return this.#turn.run(async () => {
      this.#requireForeground();
      session.trusted = false;
      const report = await refusing(409, "golden_failed", async () => {
        const golden = bundle.golden(file);
        const tolerance = toleranceFor(golden, session.info.execution.actual);
        return replayGolden({ spec: bundle.spec, cases: golden.cases, tolerance }, (item) =>
          detectGolden(engine, item, bundle.spec.input),
        );
      });
      session.trusted = true;
      this.report({ kind: "golden", report });
      return json(200, report);
    });
  }

  #images({ names, query, body, send }) {
    const orientation = query.get("orientation") ?? "0";
    if (!["0", "1"].includes(orientation)) {
      throw new Refusal(400, "bad_request", `orientation=${orientation.slice(0, 40)} is not 0 or 1`);
    }
    const session = this.#trusted(names[0]);
    const images = badRequest(() => splitBatch(body)).map((file) => file.slice());
    const applyOrientation = orientation === "1";
    const detect = (file) => session.engine.call("detectFile", { file, applyOrientation }, [file.buffer]);
    return this.#lines(images, detect, send);
  }

  #tensor({ names, body, send }) {
    const session = this.#trusted(names[0]);
    const { height, width } = session.bundle.spec.input;
    const size = height * width * 3;
    if (!body.length || body.length % size) {
      const message = `${body.length} bytes are not a whole number of inputs of ${height} x ${width} x 3`;
      throw new Refusal(400, "bad_request", message);
    }
    const inputs = Array.from({ length: body.length / size }, (_, i) => body.slice(i * size, (i + 1) * size));
    return this.#lines(inputs, (image) => session.engine.call("detectInput", { image }, [image.buffer]), send);
  }

  /** Send one line for each item, in order; if the runtime fails, an error is the last line. */
  #lines(items, detect, send) {
    return this.#turn.run(async () => {
      this.#requireForeground();
      const last = items.length - 1;
      for (const [index, item] of items.entries()) {
        let line;
        try {
          this.#requireForeground();
          line = { index, ...(await detect(item)) };
        } catch (error) {
          const stop = { error: error.message, code: error.code ?? "refused" };
          return reply(200, NDJSON, `${JSON.stringify(stop)}\n`);
        }
        this.report({ kind: "image", line });
        const text = `${JSON.stringify(line)}\n`;
        if (index === last) return reply(200, NDJSON, text);
        await send(text);
      }
    });
  }

  async #bench({ names, body }) {
    const request = this.#message("BenchRequest", body);
    checkPlan(request.plan);
    const session = this.#trusted(names[0]);
    this.#requireForeground();
    if (session.job?.request.key === request.key) {
      const same = Object.entries(request.plan).every(([name, value]) => session.job.request.plan[name] === value);
      if (!same) throw new Refusal(409, "key_reused", "this key belongs to another benchmark");
      return json(202, session.job.info);
    }
    if (session.measures) throw new Refusal(409, "busy", "this session is being measured already");
    session.job = new Job(request, (job) => this.#turn.run(() => this.#measure(session, job), Infinity));
    return json(202, session.job.info);
  }

  async #measure({ bundle, file, engine, info }, job) {
    this.report({ kind: "benchmark", running: true, plan: job.request.plan });
    try {
      const [golden] = bundle.golden(file).cases;
      const startFresh = () => this.#start(bundle, file, info.execution.threads, info.execution.actual);
      return await measure(job.request.plan, { golden, engine, startFresh }, job);
    } finally {
      this.report({ kind: "benchmark", running: false });
    }
  }

  async #job({ names, query }) {
    const wait = query.get("wait") ?? "0";
    if (!/^\d{1,9}(\.\d{1,9})?$/.test(wait)) {
      throw new Refusal(400, "bad_request", `wait=${wait.slice(0, 40)} is not a valid number`);
    }
    const seconds = Math.min(Number(wait), this.settings.limits.wait_seconds);
    return json(200, await this.sessions.job(names[0]).wait(seconds));
  }

  async #cancel(id) {
    const job = this.sessions.job(id);
    job.cancel();
    return json(200, await job.wait(CANCEL_SECONDS));
  }

  #trusted(id) {
    const session = this.sessions.get(id);
    if (!session.trusted) {
      throw new Refusal(409, "golden_required", "this session has not passed the golden gate; nothing runs before that");
    }
    return session;
  }

  #requireForeground() {
    if (!this.runtime.condition().foreground) {
      throw new Refusal(409, "background", "the page is not in the foreground; bring it back and keep it there");
    }
  }

  #message(kind, body) {
    return badRequest(() => {
      const message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
      checkMessage(this.settings.schema, kind, message);
      return message;
    }, `the body is not a ${kind}: `);
  }
}

function badRequest(action, prefix = "") {
  try {
    return action();
  } catch (error) {
    throw new Refusal(400, "bad_request", prefix + error.message);
  }
}

function reply(status, type, body) {
  return { status, type, body };
}

function json(status, message) {
  return reply(status, JSON_TYPE, JSON.stringify(message));
}

function noContent() {
  return reply(204, "", "");
}
