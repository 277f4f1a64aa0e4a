import assert from "node:assert/strict";
import { test } from "node:test";

import { turned } from "../src/core/orientation.js";
import { Preprocessor } from "../src/core/preprocessor.js";
import { cases, decodeBase64 } from "../testing/vectors.mjs";

/** Rows without the unused bytes behind them, as a browser gives pixels. */
function imageOf({ height, width, planes: [plane] }) {
  const stored = decodeBase64(plane.base64);
  const pixels = new Uint8Array(height * width * 4);
  for (let y = 0; y < height; y++) {
    const start = y * plane.row_stride;
    pixels.set(stored.subarray(start, start + width * 4), y * width * 4);
  }
  return { pixels, height, width };
}

function cut({ pixels, width }, { left, top, width: cropWidth, height }) {
  const out = new Uint8Array(height * cropWidth * 4);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * width + left) * 4;
    out.set(pixels.subarray(start, start + cropWidth * 4), y * cropWidth * 4);
  }
  return { pixels: out, height, width: cropWidth };
}

test("frames become the input of the vectors, in one pass and step by step", () => {
  let count = 0;
  for (const { frame, orientation, input: expected, ...input } of cases("frames")) {
    if (frame.format !== "rgba") continue;
    const image = imageOf(frame);
    const [left, top, width, height] = frame.crop;
    const crop = { left, top, width, height };
    const whole = left === 0 && top === 0 && width === frame.width && height === frame.height;
    assert.deepEqual(new Preprocessor(input).prepare(image, orientation, whole ? null : crop), decodeBase64(expected));
    assert.deepEqual(new Preprocessor(input).prepare(turned(cut(image, crop), orientation)), decodeBase64(expected));
    count++;
  }
  assert.ok(count > 9);
});

function noise(height, width) {
  const pixels = new Uint8Array(height * width * 4);
  for (let i = 0, state = 1; i < pixels.length; i++) pixels[i] = (state = (state * 48271) % 2147483647) & 255;
  return { pixels, height, width };
}

test("images of other sizes, turns and crops follow each other", () => {
  const input = { height: 32, width: 40, resize: "letterbox", sampling: "mean", padding: "black", placement: "centre" };
  const kept = new Preprocessor(input);
  for (const [height, width] of [[48, 64], [64, 48], [48, 64], [7, 90]]) {
    for (const orientation of [1, 6, 1]) {
      for (const crop of [null, { left: 1, top: 2, height: 5, width: 30 }]) {
        const image = noise(height, width);
        assert.deepEqual(kept.prepare(image, orientation, crop), new Preprocessor(input).prepare(image, orientation, crop));
      }
    }
  }
});

test("a frame allocates no memory for pixels", () => {
  const image = noise(480, 640);
  for (const orientation of [1, 6]) {
    const input = { height: 320, width: 320, resize: "stretch", sampling: "mean", padding: "grey", placement: "centre" };
    const preprocessor = new Preprocessor(input, Float32Array);
    const first = preprocessor.prepare(image, orientation);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 10; i++) assert.equal(preprocessor.prepare(image, orientation), first);
    assert.ok(process.memoryUsage().arrayBuffers <= before);
  }
});

test("a crop beyond the image, and an image without its pixels, are refused", () => {
  const input = { height: 32, width: 32, resize: "stretch", sampling: "mean", padding: "grey", placement: "centre" };
  const image = noise(40, 50);
  const prepare = (crop, changed = {}) => () => new Preprocessor(input).prepare({ ...image, ...changed }, 1, crop);
  for (const [left, top, width, height] of [[1, 0, 50, 40], [0, -1, 50, 40], [0, 0, 0, 40], [0, 0, 50, 41]]) {
    assert.throws(prepare({ left, top, width, height }), /is not in an image of 40 x 50/);
  }
  assert.throws(prepare(null, { height: 41 }), /8000 bytes are not an image of 41 x 50 x 4/);
});
