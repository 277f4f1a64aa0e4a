import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { Bundle, bundleFromZip } from "../src/core/bundle.js";
import { preferred } from "../src/core/choice.js";
import { checksum, parseChecksums } from "../src/core/checksums.js";
import { parseGolden } from "../src/core/golden_file.js";
import { toleranceFor } from "../src/core/golden.js";
import { readRecommended } from "../src/core/recommended.js";
import { bytes, cases } from "../testing/vectors.mjs";

const LIMIT = 1 << 20;

async function readGood(path) {
  const url = new URL(path, new URL("../../testdata/bundles/good/", import.meta.url));
  return existsSync(url) ? new Uint8Array(readFileSync(url)) : null;
}

function open(file) {
  return file === "good" ? Bundle.open(readGood) : bundleFromZip(bytes(`bundles/${file}`), LIMIT);
}

for (const item of cases("bundles")) {
  test(`bundle ${item.file} ${item.opens ? "opens" : `is refused: ${item.kind}`}`, async () => {
    if (!item.opens) {
      // a zip that is none is named by whoever has its name
      const named = ["zip", "size"].includes(item.kind) ? () => true : (error) => error.message.includes(item.mentions);
      await assert.rejects(open(item.file), named);
      return;
    }
    const bundle = await open(item.file);
    assert.equal(bundle.sha256, item.sha256);
    assert.equal(bundle.spec.name, item.name);
    assert.deepEqual([bundle.spec.input.height, bundle.spec.input.width], item.input);
    assert.deepEqual(bundle.spec.labels, item.labels);
    assert.deepEqual(bundle.spec.categoryIds, item.category_ids);
    assert.deepEqual(bundle.spec.nms, item.nms);
    const listed = bundle.files.map(({ path, format, precision, bytes }) => ({ path, format, precision, bytes }));
    assert.deepEqual(listed, item.files);
    assert.deepEqual(bundle.files.map((file) => file.thresholds), item.thresholds);
    const recommended = bundle.files.flatMap((file) => file.recommended.map((runtime) => [runtime, file.path]));
    assert.deepEqual(Object.fromEntries(recommended), item.recommended);
    assert.equal(preferred(bundle.tfliteFiles)?.path, item.recommended.cpu);
    assert.deepEqual([...bundle.recorded.keys()], Object.keys(item.golden));
    for (const file of bundle.files) {
      const [found, expected] = [bundle.golden(file), item.golden[file.path]];
      assert.equal(found.runtime, expected.runtime);
      assert.deepEqual(toleranceFor(found, "wasm"), expected.tolerance.cpu);
      assert.deepEqual(toleranceFor(found, "webgpu"), expected.tolerance.accelerated);
      assert.equal(found.cases.length, expected.cases.length);
      found.cases.forEach((golden, i) => {
        const wanted = expected.cases[i];
        assert.equal(golden.encoded, wanted.encoded);
        if (!golden.encoded) assert.equal(checksum(golden.content), wanted.image_sha256);
        assert.deepEqual(golden.labels, wanted.classes);
        assert.equal(golden.cut, wanted.cut);
        close(golden.boxes.flat(), wanted.boxes_xyxy.flat());
        close(golden.scores, wanted.scores);
      });
    }
  });
}

test("a changed file is recognised when it is read", async () => {
  const bundle = await open("good.zip");
  bundle.readUnchecked = async () => new Uint8Array([1, 2, 3]);
  await assert.rejects(bundle.read("model.float32.tflite"), /has changed/);
});

function close(found, expected) {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= 1e-6, `${value} is not ${expected[i]}`));
}

test("lists of checksums are read strictly", () => {
  for (const { text, sums } of cases("sums")) {
    const parse = () => Object.fromEntries(parseChecksums(new TextEncoder().encode(text)));
    if (sums) assert.deepEqual(parse(), sums);
    else assert.throws(parse, undefined, text);
  }
  assert.throws(() => parseChecksums(new Uint8Array(70).fill(255)));
});

test("golden files are read strictly", async () => {
  const { spec, files } = await open("good");
  const paths = files.map(({ path }) => path);
  const read = (name) => readGood(`golden/${name}`);
  for (const { text, valid, problem } of cases("golden")) {
    const parse = async () => parseGolden(JSON.parse(text), spec, paths, read);
    if (valid) assert.deepEqual([...(await parse()).keys()], paths);
    else await assert.rejects(parse, undefined, problem);
  }
});

test("files are recommended as on the host", () => {
  for (const { name, files, stored, recommended } of cases("recommended")) {
    assert.deepEqual(Object.fromEntries(readRecommended(stored, files)), recommended, name);
  }
});
