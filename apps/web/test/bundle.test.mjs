import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { Bundle, bundleFromZip, checksum } from "../src/core/bundle.js";
import { bytes, cases } from "../testing/vectors.mjs";

const LIMIT = 1 << 20;

function open(file) {
  if (file !== "good") return bundleFromZip(bytes(`bundles/${file}`), LIMIT);
  const folder = new URL("../../testdata/bundles/good/", import.meta.url);
  const read = async (path) => {
    const url = new URL(path, folder);
    return existsSync(url) ? new Uint8Array(readFileSync(url)) : null;
  };
  return read("bundle.json").then((listing) => new Bundle(listing, read));
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
    for (const [precision, tolerance] of Object.entries(item.tolerances)) {
      assert.deepEqual(await bundle.tolerance(precision), tolerance);
    }
    const golden = await bundle.golden();
    assert.equal(golden.length, item.golden.length);
    golden.forEach((found, i) => {
      assert.equal(checksum(found.image), item.golden[i].image_sha256);
      assert.deepEqual(found.labels, item.golden[i].classes);
    });
  });
}

test("a file that has changed since is found out when it is read", async () => {
  const bundle = await open("good.zip");
  bundle.readUnchecked = async () => new Uint8Array([1, 2, 3]);
  await assert.rejects(bundle.read("model.float32.tflite"), /has changed/);
});
