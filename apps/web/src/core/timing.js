// Warms up and times a loaded model file according to a plan; the rules of mobiledet/devices/timing.py.

import { percentile } from "./statistics.js";

const STEADY_RATIO = 1.05; // largest ratio between the medians of the latest runs and of those before them
const SECOND_NS = 1e9;

/**
 * @typedef {object} Runner functions to run a loaded model file and to read clock and state
 * @property {() => any} prepare sets the input; not timed
 * @property {(input: any) => Promise<any>} invoke runs the file
 * @property {(input: any, outputs: any) => void} release frees input and outputs of a run
 * @property {() => object} readState reads the state of the device
 * @property {() => Promise<void>} betweenRuns called before each run; may throw to stop the benchmark
 * @property {() => number} clockNs monotonic clock in whole nanoseconds
 * @property {(seconds: number) => Promise<void>} sleep
 */

/**
 * Warm up and measure.
 *
 * @param {Runner} runner
 * @param {object} plan BenchmarkPlan
 * @returns {Promise<object>} infer_ns, started_ns, warmup_ns, steady, states, state_ns, as in BenchmarkSamples
 */
export async function timeRuns(runner, plan) {
  const warmup = new Runs(runner, plan.fps);
  while (!(reached(warmup, plan.warmup_runs, plan.warmup_seconds) && warm(warmup, plan))) await warmup.add();
  const steady = plan.warmup_limit_seconds === 0 || isSteady(warmup.inferNs, plan.warmup_runs);

  const states = [];
  const stateTimes = [];
  const sampleState = () => {
    stateTimes.push(runner.clockNs());
    states.push(runner.readState());
  };
  sampleState();
  const timed = new Runs(runner, plan.fps);
  while (!reached(timed, plan.runs, plan.seconds)) {
    if (plan.state_seconds && runner.clockNs() - stateTimes.at(-1) >= plan.state_seconds * SECOND_NS) sampleState();
    await timed.add();
  }
  sampleState();
  return {
    infer_ns: timed.inferNs,
    started_ns: timed.startedNs.map((started) => started - timed.originNs),
    warmup_ns: warmup.inferNs,
    steady,
    states,
    state_ns: stateTimes.map((at) => at - timed.originNs),
  };
}

/** Whether the medians of the latest runs and of those before (half of `warmupRuns` each) are within 5 %. */
export function isSteady(inferNs, warmupRuns) {
  const count = Math.max(1, Math.ceil(warmupRuns / 2));
  if (inferNs.length < 2 * count) return false;
  const medians = [percentile(inferNs.slice(-count), 0.5), percentile(inferNs.slice(-2 * count, -count), 0.5)];
  return Math.max(...medians) <= STEADY_RATIO * Math.min(...medians);
}

function reached(runs, least, seconds) {
  return runs.inferNs.length >= least && runs.spentNs >= seconds * SECOND_NS;
}

function warm(warmup, plan) {
  return warmup.spentNs >= plan.warmup_limit_seconds * SECOND_NS || isSteady(warmup.inferNs, plan.warmup_runs);
}

/** Runs of a file, at the rate of a camera or without pause. */
class Runs {
  constructor(runner, fps) {
    this.runner = runner;
    this.fps = fps;
    this.beganNs = runner.clockNs();
    this.originNs = this.beganNs;
    this.inferNs = [];
    this.startedNs = [];
  }

  /** Time since the start. */
  get spentNs() {
    return this.runner.clockNs() - this.beganNs;
  }

  async add() {
    const { runner } = this;
    await runner.betweenRuns();
    const input = runner.prepare();
    if (this.fps) await this.#waitForImage();
    const started = runner.clockNs();
    const outputs = await runner.invoke(input);
    this.inferNs.push(runner.clockNs() - started);
    this.startedNs.push(started);
    runner.release(input, outputs);
    if (!this.fps) this.originNs = this.startedNs[0];
  }

  /** Wait for the next image of the camera; images that arrived while the device was busy are skipped. */
  async #waitForImage() {
    const now = this.runner.clockNs();
    if (!this.startedNs.length) {
      this.originNs = now;
      return;
    }
    const interval = SECOND_NS / this.fps;
    const last = Math.floor((this.startedNs.at(-1) - this.originNs) / interval);
    const next = Math.max(last + 1, Math.ceil((now - this.originNs) / interval));
    const due = this.originNs + next * interval;
    for (let left; (left = due - this.runner.clockNs()) > 0; ) await this.runner.sleep(left / SECOND_NS);
  }
}
