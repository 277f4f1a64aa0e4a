import assert from "node:assert/strict";
import { test } from "node:test";

import { splitBatch } from "../src/core/batch.js";
import { fromOutputs, shown } from "../src/core/detections.js";
import { replayGolden, toleranceFor } from "../src/core/golden.js";
import { plainImage } from "../src/core/image_file.js";
import { turned } from "../src/core/orientation.js";
import { fromImage, placementOf, toImage, visible } from "../src/core/placement.js";
import { Preprocessor } from "../src/core/preprocessor.js";
import { checkMessage } from "../src/core/schema.js";
import { mean, percentile, standardDeviation } from "../src/core/statistics.js";
import { isSteady } from "../src/core/timing.js";
import { cases, decodeBase64, schema } from "../testing/vectors.mjs";

/** RGB to four channels, as a canvas gives them. */
function withAlpha(rgb) {
  const out = new Uint8Array((rgb.length / 3) * 4);
  for (let i = 0; i < rgb.length / 3; i++) out.set([...rgb.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  return out;
}

function withoutAlpha(rgba) {
  return rgba.filter((_, i) => i % 4 !== 3);
}

function close(found, expected, tolerance) {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= tolerance, `${value} is not ${expected[i]}`));
}

test("resizing equals the host to the bit", () => {
  for (const { image, resized, ...rule } of cases("resize")) {
    const pixels = decodeBase64(image.base64);
    const expected = decodeBase64(resized.base64);
    const input = { height: resized.height, width: resized.width, ...rule };
    assert.deepEqual(new Preprocessor(input).prepare({ ...image, pixels, channels: 3 }), expected);
    assert.deepEqual(new Preprocessor(input, Float32Array).prepare({ ...image, pixels: withAlpha(pixels) }), Float32Array.from(expected));
  }
});

test("placement and boxes equal the host", () => {
  for (const item of cases("placement")) {
    const [inputHeight, inputWidth] = item.input;
    const placement = placementOf(item.height, item.width, { ...item, height: inputHeight, width: inputWidth });
    assert.deepEqual([placement.top, placement.left, placement.height, placement.width], item.part);
    const labels = [...item.boxes.keys()];
    const fractions = { boxes: item.boxes, scores: labels.map(() => 0.5), labels };
    const found = toImage(fractions, placement);
    assert.deepEqual(found.boxes, item.in_picture);
    const seen = visible(found, placement);
    assert.deepEqual(seen.boxes, item.visible);
    assert.deepEqual(seen.labels, item.visible_rows);
    close(fromImage(found, placement).boxes.flat(), item.boxes.flat(), 1e-5);
  }
});

test("images are turned upright", () => {
  for (const { orientation, stored, upright } of cases("orientation")) {
    const found = turned({ ...stored, pixels: withAlpha(decodeBase64(stored.base64)) }, orientation);
    assert.deepEqual([found.height, found.width], [upright.height, upright.width]);
    assert.deepEqual(new Uint8Array(withoutAlpha(found.pixels)), decodeBase64(upright.base64));
  }
});

test("the orientation is read from the file", () => {
  for (const { name, base64, orientation } of cases("exif")) {
    let found = 1;
    try {
      found = plainImage(decodeBase64(base64)).orientation;
    } catch (error) {
      assert.match(error.message, /not an image|truncated|broken/, name);
    }
    assert.equal(found, orientation, name);
  }
});

test("outputs become detections, or are refused", () => {
  const array = (values) => Float32Array.from(values.flat().map(Number));
  for (const item of cases("detections")) {
    const outputs = Object.fromEntries(["boxes", "classes", "scores", "count"].map((name) => [name, array(item[name])]));
    const placement = placementOf(item.height, item.width, { height: 32, width: 32, resize: "stretch" });
    const decode = () => toImage(fromOutputs(outputs, item.category_ids.length), placement);
    if (!item.sound) {
      assert.throws(decode);
      continue;
    }
    const found = decode();
    close(found.boxes.flat(), item.boxes_xyxy.flat(), 1e-4);
    assert.deepEqual(found.labels, item.labels);
    assert.deepEqual(found.scores, item.found_scores);
  }
});

test("shown detections follow the thresholds, unless a score is given", () => {
  for (const { scores, labels, thresholds, least, shown: expected } of cases("shown")) {
    const found = { boxes: scores.map((_, i) => [i, 0, 1, 1]), scores, labels };
    const kept = shown(found, thresholds, least);
    assert.deepEqual(kept.boxes.map(([i]) => i), expected);
    assert.deepEqual(kept.scores, expected.map((i) => scores[i]));
    assert.deepEqual(kept.labels, expected.map((i) => labels[i]));
  }
});

test("the golden gate accepts only matching detections", async () => {
  const named = ({ boxes_xyxy: boxes, scores, labels }, image) => ({ boxes, scores, labels, image });
  for (const item of cases("gate")) {
    const { name, labels, nms, cut } = item;
    const expected = item.expected.map((found, image) => ({ ...named(found, image), cut }));
    const tolerance = toleranceFor(item, item.accelerator);
    const replay = replayGolden({ spec: { labels, nms }, cases: expected, tolerance }, async ({ image }) => named(item.found[image]));
    if (!item.opens) {
      await assert.rejects(replay, (error) => error.message.includes(item.problem), name);
      continue;
    }
    const report = await replay;
    assert.deepEqual([report.cases, report.detections], [item.report.cases, item.report.detections], name);
    const figures = ["lowest_iou", "largest_score_difference"];
    close(figures.map((figure) => report[figure]), figures.map((figure) => item.report[figure]), 1e-5);
  }
});

test("statistics of latency", () => {
  for (const item of cases("latency")) {
    const samples = item.samples_ns.map((ns) => ns / 1e6);
    const found = [mean(samples), standardDeviation(samples), Math.min(...samples), ...[0.5, 0.9, 0.95].map((p) => percentile(samples, p))];
    const expected = [item.mean_ms, item.std_ms, item.min_ms, item.p50_ms, item.p90_ms, item.p95_ms];
    found.forEach((value, i) => close([value], [expected[i]], 1e-9 * Math.max(1e-9, Math.abs(expected[i]))));
  }
});

test("a warm-up is steady", () => {
  for (const { infer_ns, warmup_runs, steady } of cases("steady")) assert.equal(isSteady(infer_ns, warmup_runs), steady);
});

test("messages are accepted only if they are valid", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (const { kind, text, base64, valid } of cases("messages")) {
    if (!["SessionRequest", "BenchRequest"].includes(kind)) continue;
    const take = () => checkMessage(schema(), kind, JSON.parse(text ?? decoder.decode(decodeBase64(base64))));
    if (valid) take();
    else assert.throws(take, `${kind} ${text}`);
  }
});

test("batches of images are split, or refused", () => {
  for (const { mode, base64, lengths } of cases("batches")) {
    if (mode !== "image") continue;
    const split = () => splitBatch(decodeBase64(base64)).map((image) => image.length);
    if (lengths) assert.deepEqual(split(), lengths);
    else assert.throws(split);
  }
});
