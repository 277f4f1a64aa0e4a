// Benchmark plans on a clock that is moved by hand: a double of time, so that every moment is known.

import assert from "node:assert/strict";
import { test } from "node:test";

import { timeRuns } from "../src/core/timing.js";

const MS = 1e6;
const PLAN = { warmup_runs: 0, warmup_seconds: 0, warmup_limit_seconds: 0, runs: 1, seconds: 0, fps: 0, state_seconds: 0 };

/** Time runs that take so many milliseconds each; to set the input and to read a state takes 1 ms. */
async function measure(changes, runMs = () => 10) {
  let now = 5000 * MS;
  let count = 0;
  const slept = [];
  const timed = await timeRuns(
    {
      prepare: () => void (now += MS),
      invoke: async () => void (now += runMs(count++) * MS),
      release: () => {},
      readState: () => ({ memory_bytes: (now += MS) }),
      betweenRuns: async () => {},
      clockNs: () => now,
      sleep: async (seconds) => {
        slept.push(seconds);
        now += seconds * 1e9 + 50_000; // it oversleeps a little
      },
    },
    { ...PLAN, ...changes },
  );
  return { ...timed, slept };
}

test("both runs and seconds are reached", async () => {
  for (const [runs, seconds, expected] of [[7, 0, 7], [1, 0.1, 10], [20, 0.1, 20]]) {
    const timed = await measure({ warmup_runs: runs, warmup_seconds: seconds, runs, seconds });
    assert.deepEqual(timed.infer_ns, Array(expected).fill(10 * MS));
    assert.deepEqual(timed.warmup_ns, Array(expected).fill(10 * MS));
    assert.deepEqual(timed.started_ns, timed.infer_ns.map((_, i) => 11 * MS * i));
  }
});

test("the warm-up continues until it is steady, or reports that it never was", async () => {
  const settling = await measure({ warmup_runs: 10, warmup_limit_seconds: 10 }, (i) => Math.max(10, 40 - i));
  assert.ok(settling.steady);
  assert.ok(settling.warmup_ns.length >= 30 && settling.warmup_ns.length <= 40);
  const growing = await measure({ warmup_runs: 10, warmup_limit_seconds: 1 }, (i) => 10 * 1.05 ** i);
  assert.ok(!growing.steady);
});

test("paced runs begin when their image arrives, and missed images are skipped", async () => {
  const timed = await measure({ runs: 5, fps: 20 });
  assert.deepEqual(timed.started_ns.map((ns) => Math.round(ns / MS)), [0, 50, 100, 150, 200]);
  assert.equal(timed.slept.length, 4);
  const slow = await measure({ runs: 6, fps: 20 }, (i) => (i < 4 ? 70 : 10));
  assert.deepEqual(slow.started_ns.map((ns) => Math.round(ns / MS)), [0, 100, 200, 300, 400, 450]);
});

test("states are read during the runs", async () => {
  const timed = await measure({ seconds: 1, state_seconds: 0.3 });
  assert.equal(timed.states.length, 5);
  assert.equal(timed.state_ns.length, 5);
  assert.ok(timed.state_ns[0] < 0 && timed.state_ns[1] > 0);
  assert.ok(timed.state_ns.at(-1) >= timed.started_ns.at(-1) + timed.infer_ns.at(-1));
  assert.equal((await measure({ seconds: 1 })).states.length, 2);
});
