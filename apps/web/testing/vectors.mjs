// Reads apps/testdata, which every implementation must agree with; see its README.md.

import { readFileSync } from "node:fs";

const FOLDER = new URL("../../testdata/", import.meta.url);

export function cases(name) {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf8")).cases;
}

export function bytes(path) {
  return new Uint8Array(readFileSync(new URL(path, FOLDER)));
}

export function decodeBase64(text) {
  return new Uint8Array(Buffer.from(text, "base64"));
}

export function schema() {
  return JSON.parse(readFileSync(new URL("../protocol/messages.schema.json", FOLDER), "utf8"));
}
