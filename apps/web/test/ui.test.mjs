import assert from "node:assert/strict";
import { test } from "node:test";

import { Speaker, describe } from "../src/ui/words.js";

test("detections are described in words", () => {
  assert.equal(describe([]), "nothing detected");
  assert.equal(describe(["dog", "cat", "dog"]), "3 detected: 2 dog, 1 cat");
});

test("rate-limited texts are announced every five seconds, others at once", () => {
  const said = [];
  const element = {
    get textContent() {
      return said.at(-1);
    },
    set textContent(text) {
      said.push(text);
    },
  };
  let now = 0;
  const speaker = new Speaker(element, 5000, () => now);
  for (; now < 20_000; now += 33) speaker.say(`${now}`, { rateLimited: true });
  assert.equal(said.length, 4);
  speaker.say("an image");
  speaker.say("an image");
  assert.deepEqual(said.slice(4), ["an image"]);
});
