// Benchmarks: cold starts, then the timed runs.

import { Refusal } from "./refusal.js";

const COLD_STARTS = 3;

/**
 * Measure a loaded file.
 *
 * @param {object} plan BenchmarkPlan
 * @param {{golden: object, engine: object, startFresh: () => Promise<object>}} subject golden is the case to run;
 *   startFresh loads the file in a new worker
 * @param {import("./job.js").Job} job
 * @returns {Promise<object>} BenchmarkSamples
 */
export async function measure(plan, { golden, engine, startFresh }, job) {
  const coldStarts = [];
  while (coldStarts.length < COLD_STARTS) {
    job.check();
    coldStarts.push(await coldStart(startFresh));
  }
  job.check();
  job.onStop = (reason) => engine.call("stop", { reason }).catch(() => {}); // it may have been closed
  return { ...(await engine.call("measure", { golden, plan })), cold_starts: coldStarts };
}

async function coldStart(startFresh) {
  const engine = await startFresh();
  try {
    const { firstInferNs } = await engine.call("firstRun");
    // the runtime allocates its memory before the load, so the memory that the file adds is unknown
    return { load_ns: engine.loadNs, first_infer_ns: firstInferNs, memory_bytes: null };
  } finally {
    engine.close();
  }
}

/** Refuse an invalid plan. */
export function checkPlan(plan) {
  const numbers = Object.values(plan);
  if (Math.min(plan.runs - 1, ...numbers) < 0 || !numbers.every(Number.isFinite)) {
    throw new Refusal(400, "bad_request", "a plan must have at least one run, and no negative or infinite number");
  }
}
