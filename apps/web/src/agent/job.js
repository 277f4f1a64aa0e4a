// A benchmark, which runs while the client polls.

import { randomId } from "./random_id.js";

/** A benchmark, started immediately. */
export class Job {
  #reason = null; // why it must stop: an ErrorMessage, or "cancelled"

  /**
   * @param {object} request BenchRequest; its key identifies the job to the client
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

  /** Wait until the job has ended, at most some seconds; returns its status. */
  async wait(seconds) {
    let timer;
    await Promise.race([this.ended, new Promise((resolve) => (timer = setTimeout(resolve, 1000 * seconds)))]);
    clearTimeout(timer);
    return this.info;
  }

  /** Stop the job before its next run. */
  cancel() {
    this.#stop("cancelled");
  }

  /** Make the job fail before its next run. */
  fail(message, code) {
    this.#stop({ error: message, code });
  }

  /** Throw if the job must stop. */
  check() {
    if (this.#reason) throw new Error("the job is stopped");
  }

  #stop(reason) {
    this.#reason ??= reason;
    this.onStop("the job is stopped");
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
