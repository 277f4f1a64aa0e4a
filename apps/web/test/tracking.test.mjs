import assert from "node:assert/strict";
import { test } from "node:test";

import { Counter } from "../src/core/counting.js";
import { Tracker } from "../src/core/tracker.js";
import { cases } from "../testing/vectors.mjs";

const tally = (map) => Object.fromEntries([...map].map(([label, count]) => [String(label), count]));

test("objects are tracked and counted as on the host, to the bit", () => {
  for (const { name, confident, settings, lines, zones, point, frames } of cases("tracking")) {
    const tracker = new Tracker(confident, settings);
    const counter = new Counter(lines, zones, point);
    frames.forEach((frame, place) => {
      const { scores, labels } = frame;
      const tracked = tracker.update({ boxes: frame.boxes_xyxy.map((box) => box.map(Number)), scores, labels });
      counter.update(tracked);
      const found = {
        ids: tracked.ids,
        sources: tracked.sources,
        tracked_xyxy: tracked.boxes,
        ended: tracked.ended,
        left_out: tracked.leftOut,
        lines: counter.lines.map(({ toRight, toLeft }) => [tally(toRight), tally(toLeft)]),
        zones: counter.zones.map(({ now, visitors }) => [tally(now), tally(visitors)]),
      };
      const expected = Object.fromEntries(Object.keys(found).map((key) => [key, frame[key]]));
      assert.deepEqual(found, expected, `${name}, frame ${place}`);
      assert.deepEqual(tracked.labels, tracked.sources.map((source) => labels[source]));
      assert.deepEqual(tracked.scores, tracked.sources.map((source) => scores[source]));
    });
  }
});
