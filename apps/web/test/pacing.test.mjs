import assert from "node:assert/strict";
import { test } from "node:test";

import { FramePacer } from "../src/core/pacer.js";
import { cases } from "../testing/vectors.mjs";

test("frames are chosen as in the reference", () => {
  for (const { name, rates, recover_seconds: recoverSeconds, frames, decisions, levels, notices, counts } of cases("pacing")) {
    const pacer = new FramePacer({ rates, recoverSeconds });
    const found = { decisions: [], levels: [], notices: [] };
    frames.forEach(([time, thermal, finished], place) => {
      if (finished) pacer.finish();
      found.decisions.push(pacer.decide(time, thermal));
      found.levels.push(pacer.level);
      if (found.notices.at(-1)?.[1] !== pacer.notice) found.notices.push([place, pacer.notice]);
    });
    assert.deepEqual(found, { decisions, levels, notices }, name);
    assert.deepEqual(pacer.counts, counts, name);
  }
});

test("names that every object has are no thermal states", () => {
  const pacer = new FramePacer();
  pacer.decide(0, "constructor");
  assert.equal(pacer.level, "nominal");
});

test("settings of a pacer have bounds", () => {
  for (const rates of [[30], [0, 0, 0, 0], [30, 31, 1, 1], [2000, 1, 1, 1]]) {
    assert.throws(() => new FramePacer({ rates }), RangeError, String(rates));
  }
  for (const recoverSeconds of [-1, NaN, 4000]) assert.throws(() => new FramePacer({ recoverSeconds }), RangeError);
});
