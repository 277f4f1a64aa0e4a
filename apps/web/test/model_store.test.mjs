import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { ModelStore, updateModel } from "../src/core/model_store.js";
import { verifySignature } from "../src/core/signed_file.js";
import { webSource } from "../src/runtime/model_source.js";
import { bytes, cases, decodeBase64 } from "../testing/vectors.mjs";

/** Names and contents in memory, in place of a browser's cache. */
function memory() {
  const files = new Map();
  return {
    files,
    read: async (name) => files.get(name) ?? null,
    write: async (name, content) => void files.set(name, content),
    remove: async (name) => void files.delete(name),
    names: async () => [...files.keys()],
  };
}

const encode = (text) => new TextEncoder().encode(text);

function install(store, { signature, file, gate, allow_older: allowOlder }) {
  const check = async (bundle) => {
    assert.ok(bundle.golden(bundle.files[0]));
    if (!gate) throw new Error("the golden cases differ");
  };
  return store.install(encode(signature), bytes(`bundles/${file}`), check, { allowOlder });
}

const contains = (problem) => (error) => {
  assert.ok(error.message.includes(problem), `${error.message} lacks ${problem}`);
  return true;
};

for (const { name, keys, text, base64, accepted, signed, problem } of cases("signatures")) {
  test(`signature: ${name}`, async () => {
    const content = text === undefined ? decodeBase64(base64) : encode(text);
    if (accepted) assert.deepEqual(await verifySignature(content, keys), signed);
    else await assert.rejects(verifySignature(content, keys), contains(problem));
  });
}

for (const { name, keys, built_in: builtIn, steps } of cases("model_store")) {
  test(`a store follows the steps: ${name}`, async () => {
    const storage = memory();
    const store = new ModelStore(storage, keys, { builtIn });
    for (const step of steps) {
      if (step.action === "rollback") await store.rollback();
      else if (step.problem) await assert.rejects(install(store, step), contains(step.problem));
      else await install(store, step);
      const [current, previous] = [await store.current(), await store.previous()];
      assert.deepEqual([current?.release ?? null, previous?.release ?? null], [step.current, step.previous]);
      const kept = [current, previous].filter(Boolean).map(({ release, sha256 }) => `${release}-${sha256}`);
      assert.deepEqual([...storage.files.keys()].filter((entry) => entry !== "current").sort(), kept.sort());
      assert.equal(Boolean(await store.open()), Boolean(current));
    }
  });
}

test("a damaged list means the built-in model", async () => {
  const { keys, steps } = cases("model_store")[0];
  const storage = memory();
  const store = new ModelStore(storage, keys);
  await install(store, steps[0]);
  for (const text of ["", "\n", "1-abc\n", "../x\n"]) {
    storage.files.set("current", encode(text));
    assert.equal(await store.current(), null, text);
  }
  await install(store, steps[0]);
  storage.files.set([...storage.files.keys()].find((name) => name !== "current"), bytes("bundles/changed-model.zip"));
  await assert.rejects(store.open());
  await store.clear();
  assert.equal(await store.open(), null);
});

test("installations run one after the other", async () => {
  const { keys, steps } = cases("model_store")[0];
  const store = new ModelStore(memory(), keys);
  await Promise.all(steps.slice(0, 3).map((step) => install(store, step)));
  assert.deepEqual([(await store.current()).release, (await store.previous()).release], [3, 2]);
});

test("an update downloads only what is newer", async () => {
  const { keys, steps } = cases("model_store")[0];
  let served = steps[1];
  const requests = [];
  const server = createServer(({ url }, reply) => {
    requests.push(url);
    const content = { "/x.zip.sig": served.signature, "/x.zip": bytes(`bundles/${served.file}`), "/long.zip.sig": " ".repeat(2000) }[url];
    reply.writeHead(content ? 200 : 404).end(content);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = `http://127.0.0.1:${server.address().port}`;
    const store = new ModelStore(memory(), keys);
    const update = (name) => updateModel(store, webSource(`${address}/${name}`), async () => {});
    assert.ok(await update("x.zip"));
    assert.equal(await update("x.zip"), null);
    served = steps[0];
    assert.equal(await update("x.zip"), null);
    assert.deepEqual(requests, ["/x.zip.sig", "/x.zip", "/x.zip.sig", "/x.zip.sig"]);
    await assert.rejects(update("absent.zip"), contains("404"));
    await assert.rejects(update("long.zip"), contains("more than 1024 bytes"));
    assert.equal((await store.current()).release, 2);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
