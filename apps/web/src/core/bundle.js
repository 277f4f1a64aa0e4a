// A bundle: bundle.json, which names the checksum of all else, and the files it names. See mobiledet/bundle.py.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

import { canonical } from "./canonical_json.js";
import { parseSpec } from "./spec.js";
import { requireInside, unzip } from "./zip.js";

const LISTING = "bundle.json";
const GOLDEN = "golden/golden.json";
const REQUIRED_EXTRAS = ["labels.txt", GOLDEN];

/** Checksum in lower-case hex. `crypto.subtle` would not do: pages on plain http do not have it. */
export function checksum(bytes) {
  return bytesToHex(sha256(bytes));
}

/** A bundle whose files are verified when they are read. */
export class Bundle {
  /**
   * @param {Uint8Array} listing bundle.json
   * @param {(path: string) => Promise<Uint8Array>} read a file of the bundle
   * @throws {Error} it is no description of a bundle
   */
  constructor(listing, read) {
    this.sha256 = checksum(listing);
    this.readUnchecked = read;
    const values = parseJson(listing, LISTING);
    this.spec = parseSpec(values);
    if (checksum(encode(canonical(decode(listing), "sha256"))) !== values.sha256) throw changed(LISTING);
    if (!Array.isArray(values.files) || typeof values.extras !== "object" || values.extras === null) {
      throw new Error("bundle.json lists its files in a form that cannot be read");
    }
    this.files = values.files;
    this.checksums = new Map(Object.entries(values.extras));
    for (const file of this.files) this.checksums.set(file.path, file.sha256);
    const missing = REQUIRED_EXTRAS.find((name) => !this.checksums.has(name));
    if (missing) throw new Error(`bundle.json does not list ${missing}`);
    for (const path of this.checksums.keys()) requireInside(path);
  }

  /** The .tflite files, in the bundle's order. */
  get tfliteFiles() {
    return this.files.filter((file) => file.format === "tflite");
  }

  /**
   * A file of the bundle.
   *
   * @throws {Error} it is missing or has changed
   */
  async read(path) {
    const content = await this.readUnchecked(path);
    if (!content) throw new Error(`${path} is missing; copy or export the bundle again`);
    if (checksum(content) !== this.checksums.get(path)) throw changed(path);
    return content;
  }

  /** The golden cases: the model's input, and the detections that it must give, boxes as fractions. */
  async golden() {
    const { cases } = parseJson(await this.read(GOLDEN), GOLDEN);
    const bytes = this.spec.input.height * this.spec.input.width * 3;
    return Promise.all(
      cases.map(async ({ image: name, boxes, classes, scores }) => {
        const image = await this.read(`golden/${name}`);
        if (image.length !== bytes || boxes.length !== scores.length || classes.length !== scores.length) {
          throw new Error(`${GOLDEN} does not fit its images; export the bundle again`);
        }
        return { image, boxes: boxes.map(([top, left, bottom, right]) => [left, top, right, bottom]), scores, labels: classes };
      }),
    );
  }

  /** How far a file of this precision may be from the golden outputs: lowest IoU, largest difference of a score. */
  async tolerance(precision) {
    const { tolerances } = parseJson(await this.read(GOLDEN), GOLDEN);
    if (!tolerances?.[precision]) throw new Error(`the bundle has no golden tolerance for precision ${precision}`);
    return tolerances[precision];
  }
}

/**
 * The bundle in a zip file, every file of which is verified.
 *
 * @param {Uint8Array} archive
 * @param {number} limitBytes of all files, unpacked
 * @throws {Error} it is none, or not whole
 */
export async function bundleFromZip(archive, limitBytes) {
  const files = withoutTopFolder(await unzip(archive, limitBytes));
  if (!files.has(LISTING)) throw new Error("not a mobiledet bundle: bundle.json is missing");
  const bundle = new Bundle(files.get(LISTING), async (path) => files.get(path));
  for (const [path, expected] of bundle.checksums) {
    const found = files.has(path) ? checksum(files.get(path)) : checksumOfFolder(files, path);
    if (found !== expected) throw changed(path);
  }
  return bundle;
}

/**
 * The bundle in a folder of a web server.
 *
 * @param {string} url of the folder, with a slash at its end
 * @param {string} token that the server asks for; empty where it asks for none
 */
export async function bundleFromFolder(url, token = "") {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const read = async (path) => {
    const reply = await fetch(url + path.split("/").map(encodeURIComponent).join("/"), { headers });
    return reply.ok ? new Uint8Array(await reply.arrayBuffer()) : null;
  };
  const listing = await read(LISTING);
  if (!listing) throw new Error(`no bundle at ${url}`);
  return new Bundle(listing, read);
}

/** A zip may hold the files themselves, or the one folder that holds them. */
function withoutTopFolder(files) {
  const tops = new Set([...files.keys()].map((path) => path.split("/")[0]));
  if (files.has(LISTING) || tops.size !== 1) return files;
  const [top] = tops;
  return new Map([...files].map(([path, content]) => [path.slice(top.length + 1), content]));
}

/** Of the list of a folder's files, sorted by the parts of their paths, with the checksum of each. */
function checksumOfFolder(files, folder) {
  const inside = [...files.keys()].filter((path) => path.startsWith(`${folder}/`));
  if (!inside.length) throw new Error(`${folder} is missing; copy or export the bundle again`);
  const relative = inside.map((path) => path.slice(folder.length + 1)).sort(byParts);
  const list = relative.map((path) => `${path}\0${checksum(files.get(`${folder}/${path}`))}\n`).join("");
  return checksum(encode(list));
}

function byParts(a, b) {
  const [left, right] = [a.split("/"), b.split("/")];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return left.length - right.length;
}

function changed(path) {
  return new Error(`${path} has changed (checksum differs); copy or export the bundle again`);
}

function parseJson(content, name) {
  try {
    return JSON.parse(decode(content));
  } catch (error) {
    throw new Error(`${name} is not JSON: ${error.message}`);
  }
}

function decode(bytes) {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function encode(text) {
  return new TextEncoder().encode(text);
}
