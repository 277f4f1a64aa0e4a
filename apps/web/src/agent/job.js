// A benchmark, which goes on while the client polls.

import { randomId } from "./random_id.js";

/** A benchmark, started at once. */
export class Job {
  #reason = null; // why it is to end: an ErrorMessage, or "cancelled"

  /**
   * @param {object} request BenchRequest; its key names the job to the client that asked
   * @param {(job: Job) => Promise<object | null>} work calls `job.check()` between its steps
   */
  constructor(request, work) {
    this.request = request;
    this.onStop = () => {};
    this.info = { id: randomId(), status: "running", samples: null, error: null };
    this.ended = this.#run(work);
  }

  get running() {
    return this.info.status === "running";
  }

  /** How it stands when it has ended, or after so long. */
  async wait(seconds) {
    let timer;
    await Promise.race([this.ended, new Promise((resolve) => (timer = setTimeout(resolve, 1000 * seconds)))]);
    clearTimeout(timer);
    return this.info;
  }

  /** Have it end before its next run. */
  cancel() {
    this.#stop("cancelled");
  }

  /** Have it fail before its next run. */
  fail(message, code) {
    this.#stop({ error: message, code });
  }

  /** Throw where it is to end. */
  check() {
    if (this.#reason) throw new Error("the job is to end");
  }

  #stop(reason) {
    this.#reason ??= reason;
    this.onStop("the job is to end");
  }

  async #run(work) {
    const { id } = this.info;
    let ended;
    try {
      const samples = await work(this);
      ended = { id, status: "done", samples, error: null };
    } catch (error) {
      ended = { id, status: "failed", samples: null, error: { error: error.message, code: error.code ?? "internal" } };
    }
    if (this.#reason === "cancelled") ended = { id, status: "cancelled", samples: null, error: null };
    else if (this.#reason) ended = { id, status: "failed", samples: null, error: this.#reason };
    this.info = ended;
  }
}
