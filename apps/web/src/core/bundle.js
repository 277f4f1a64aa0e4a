// A bundle: SHA256SUMS with the checksums of all other files, and these files. See mobiledet/bundle.py.

import { SUMS, checksum, parseChecksums } from "./checksums.js";
import { parseGolden } from "./golden_file.js";
import { readRecommended } from "./recommended.js";
import { parseSpec } from "./spec.js";
import { requireInside, unzip } from "./zip.js";

const LISTING = "bundle.json";
const LABELS = "labels.txt";
const GOLDEN = "golden/golden.json";

/** A bundle whose files are verified when they are read. */
export class Bundle {
  /**
   * @param {(path: string) => Promise<Uint8Array | null>} read reads a file of the bundle
   * @returns {Promise<Bundle>}
   * @throws {Error} it is not a bundle, or one of its descriptions has changed or is malformed
   */
  static async open(read) {
    const listing = await read(LISTING);
    if (!listing) throw new Error("not a mobiledet bundle: bundle.json is missing");
    const sums = await read(SUMS);
    if (!sums) throw new Error(`${SUMS} is missing, as in bundles of an older mobiledet; export or copy it again`);
    const bundle = new Bundle(sums, read);
    for (const name of [LISTING, LABELS, GOLDEN]) bundle.#requireListed(name);
    const values = parseJson(await bundle.read(LISTING), LISTING);
    bundle.spec = parseSpec(values);
    bundle.files = modelFiles(values, bundle.spec.labels.length);
    for (const { path } of bundle.files) {
      requireInside(path);
      bundle.#requireListed(path);
    }
    const golden = parseJson(await bundle.read(GOLDEN), GOLDEN);
    const paths = bundle.files.map(({ path }) => path);
    bundle.recorded = await parseGolden(golden, bundle.spec, paths, (name) => bundle.read(`golden/${name}`));
    return bundle;
  }

  /** For `Bundle.open` only. */
  constructor(sums, read) {
    this.sha256 = checksum(sums);
    this.readUnchecked = read;
    this.checksums = parseChecksums(sums);
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

  /** The golden cases of a model file; see `parseGolden`. */
  golden(file) {
    return this.recorded.get(file.path);
  }

  /** Require that a file, or a file in a folder, is listed. */
  #requireListed(name) {
    const listed = [...this.checksums.keys()].some((path) => path === name || path.startsWith(`${name}/`));
    if (!listed) throw new Error(`${name} is missing; copy or export the bundle again`);
  }
}

/**
 * Open a bundle in a zip file and verify every file.
 *
 * @param {Uint8Array} archive
 * @param {number} limitBytes limit for the unpacked size
 * @throws {Error} it is not a bundle, or a file is missing, changed or not listed
 */
export async function bundleFromZip(archive, limitBytes) {
  const files = withoutTopFolder(await unzip(archive, limitBytes));
  const bundle = await Bundle.open(async (path) => files.get(path));
  for (const path of bundle.checksums.keys()) await bundle.read(path);
  const unlisted = [...files.keys()].find((path) => path !== SUMS && !bundle.checksums.has(path));
  if (unlisted) throw new Error(`the bundle holds ${unlisted}, which ${SUMS} does not list; remove it or copy the bundle again`);
  return bundle;
}

/**
 * Open a bundle in a folder of a web server.
 *
 * @param {string} url URL of the folder, ending with a slash
 * @param {string} token token for the server; empty if it needs none
 */
export async function bundleFromFolder(url, token = "") {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return Bundle.open(async (path) => {
    const reply = await fetch(url + path.split("/").map(encodeURIComponent).join("/"), { headers }).catch(() => {
      throw new Error(`${path} cannot be fetched: the server does not answer; check the connection and try again`);
    });
    return reply.ok ? new Uint8Array(await reply.arrayBuffer()) : null;
  });
}

/** A zip may contain the files themselves, or one folder with them. */
function withoutTopFolder(files) {
  const tops = new Set([...files.keys()].map((path) => path.split("/")[0]));
  if (files.has(LISTING) || tops.size !== 1) return files;
  const [top] = tops;
  return new Map([...files].map(([path, content]) => [path.slice(top.length + 1), content]));
}

/** The entry of each model file, with the `thresholds` of its operating point by class, or null, and the runtimes for
 * which it is `recommended`. */
function modelFiles(listing, classCount) {
  const { files } = listing;
  const sound = ({ path, format, precision, bytes } = {}) =>
    [path, format, precision].every((text) => typeof text === "string") && Number.isSafeInteger(bytes);
  if (!Array.isArray(files) || !files.every((file) => sound(file ?? undefined))) {
    throw new Error("bundle.json lists its files in a form that cannot be read");
  }
  const recommended = [...readRecommended(listing.recommended, files)];
  return files.map((file) => ({
    ...file,
    thresholds: thresholdsOf(file, classCount),
    recommended: recommended.filter(([, path]) => path === file.path).map(([runtime]) => runtime),
  }));
}

function thresholdsOf({ path, operating_point: point }, classCount) {
  if (point === undefined || point === null) return null;
  const thresholds = point.thresholds;
  const isShare = (value) => typeof value === "number" && value >= 0 && value <= 1;
  if (!Array.isArray(thresholds) || thresholds.length !== classCount || !thresholds.every(isShare)) {
    throw new Error(`bundle.json: the thresholds of ${path} are not ${classCount} numbers in 0..1`);
  }
  return thresholds;
}

function changed(path) {
  return new Error(`${path} has changed (checksum differs); copy or export the bundle again`);
}

function parseJson(content, name) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch (error) {
    throw new Error(`${name} is not JSON: ${error.message}`);
  }
}
