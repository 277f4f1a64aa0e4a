// The model files that the agent has loaded, with a limit on their number.

import { randomId } from "./random_id.js";
import { Refusal } from "./refusal.js";

/** A model file in memory. */
export class Session {
  /**
   * @param {object} request SessionRequest
   * @param {import("../core/bundle.js").Bundle} bundle
   * @param {object} file the model file's entry in the bundle
   * @param {import("../runtime/engine.js").Engine} engine
   * @param {object} info SessionInfo without its id
   */
  constructor(request, bundle, file, engine, info) {
    this.request = request;
    this.bundle = bundle;
    this.file = file;
    this.engine = engine;
    this.info = { id: randomId(), ...info };
    this.trusted = false; // whether it has passed the golden gate
    this.job = null;
    this.used = performance.now();
  }

  get measures() {
    return Boolean(this.job?.running);
  }

  close() {
    this.job?.cancel();
    this.engine.close();
  }
}

/** The open sessions. */
export class Sessions {
  #open = new Map();
  #opening = Promise.resolve();

  constructor(limits) {
    this.limits = limits;
  }

  /**
   * The session for a request: an open one with the same key, or a new one.
   *
   * @param {object} request SessionRequest
   * @param {() => Promise<Session>} load
   * @throws {Refusal} too many sessions are open, the key belongs to another request, or `load` refuses
   */
  open(request, load) {
    // one after the other, or two sessions with the same key could be opened
    const opened = this.#opening.then(() => this.#openNow(request, load));
    this.#opening = opened.catch(() => {});
    return opened;
  }

  get(id) {
    const session = this.#open.get(id);
    if (!session) throw new Refusal(404, "unknown_session", `no session '${id.slice(0, 80)}' is open`);
    session.used = performance.now();
    return session;
  }

  /** The job with this id. */
  job(id) {
    for (const session of this.#open.values()) {
      if (session.job?.info.id === id) {
        session.used = performance.now();
        return session.job;
      }
    }
    throw new Refusal(404, "unknown_job", `no job '${id.slice(0, 80)}' is here`);
  }

  close(id) {
    this.get(id).close();
    this.#open.delete(id);
  }

  /** All open sessions. */
  get all() {
    return [...this.#open.values()];
  }

  async #openNow(request, load) {
    for (const session of this.#open.values()) {
      if (session.request.key !== request.key) continue;
      const same = Object.entries(request).every(([name, value]) => session.request[name] === value);
      if (!same) throw new Refusal(409, "key_reused", "this key belongs to another session");
      return session;
    }
    this.#closeIdle();
    const session = await load();
    this.#open.set(session.info.id, session);
    return session;
  }

  #closeIdle() {
    if (this.#open.size < this.limits.sessions) return;
    const oldest = this.all.reduce((a, b) => (order(b) < order(a) ? b : a));
    if (oldest.measures || performance.now() - oldest.used < 1000 * this.limits.idle_seconds) {
      const message = `${this.#open.size} sessions are open, which is the limit; close one`;
      throw new Refusal(429, "too_many_sessions", message);
    }
    this.close(oldest.info.id);
  }
}

/** Sort key: idle sessions first, the least recently used before others. */
function order(session) {
  return session.measures ? Infinity : session.used;
}
