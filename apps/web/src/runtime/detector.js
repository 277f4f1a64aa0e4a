// Detects objects in images with a bundle, for other pages than this project's own.

import { Bundle, bundleFromFolder, bundleFromZip } from "../core/bundle.js";
import { preferred, select } from "../core/choice.js";
import { DEFAULT_SCORE, shown } from "../core/detections.js";
import { placementOf, visible } from "../core/placement.js";
import { Tracker } from "../core/tracker.js";
import { detectInFile, loadChecked } from "./checked.js";
import { availableThreads } from "./device.js";
import { Engine } from "./engine.js";

const BUNDLE_BYTES = 512_000_000; // limit for an unpacked bundle
const ACCELERATORS = { auto: "wasm", wasm: "wasm", webgpu: "webgpu" };

/** A detected object; see index.d.ts, which describes everything here for apps. */
export class Detector {
  #bundle;
  #engine;
  #turn = Promise.resolve();

  /**
   * Open a bundle, verify it, and load one of its model files in a worker.
   *
   * @param {string | URL | Blob | ArrayBuffer | Uint8Array | Bundle} source address of a zip or, ending with a slash, of a folder;
   *   or a zip; or a bundle that is open, such as from a `ModelStore`
   * @param {{file?: string, accelerator?: "auto" | "wasm" | "webgpu", threads?: number, assets?: string | URL}} options
   * @returns {Promise<Detector>}
   * @throws {Error} one line: the bundle is missing or damaged, or does not run here
   */
  static async open(source, { file = "", accelerator = "auto", threads = 0, assets } = {}) {
    if (!Object.hasOwn(ACCELERATORS, accelerator)) {
      throw new Error(`unknown accelerator '${accelerator}'; known: ${Object.keys(ACCELERATORS).join(", ")}`);
    }
    const available = availableThreads();
    if (!Number.isInteger(threads) || threads < 0 || threads > available) {
      const more = available > 1 ? "" : "; more need a page that is isolated from other origins (COOP and COEP headers)";
      throw new Error(`threads ${threads} is not in 0..${available}${more}`);
    }
    const bundle = await openBundle(source);
    const chosen = select(bundle, file || recommended(bundle, accelerator === "webgpu" ? "gpu" : "cpu"));
    const content = await bundle.read(chosen.path);
    const settings = { threads: threads || available, isolated: crossOriginIsolated, assets };
    const load = (options) => Engine.load(content, { ...settings, ...options });
    return new Detector(bundle, chosen, await loadChecked(bundle, chosen, load, ACCELERATORS[accelerator]), settings.threads);
  }

  /** For `Detector.open` only. */
  constructor(bundle, file, engine, threads) {
    this.#bundle = bundle;
    this.#engine = engine;
    const { name, labels, categoryIds, input } = bundle.spec;
    this.name = name;
    this.labels = labels;
    this.categoryIds = categoryIds;
    this.input = { height: input.height, width: input.width };
    this.file = file.path;
    this.thresholds = file.thresholds;
    this.accelerator = engine.accelerator;
    this.threads = threads;
  }

  /**
   * Detect objects, best score first.
   *
   * @param {ImageBitmapSource} image an image file, image, video, canvas, bitmap, ImageData or VideoFrame
   * @param {{minScore?: number | null, tracker?: Tracker | null}} options lowest score, by default the thresholds of the bundle's
   *   operating point, or 0.3; or a tracker from `tracker()`, which gives the objects ids
   * @returns {Promise<{label: string, categoryId: number, score: number, box: [number, number, number, number], id?: number}[]>}
   *   boxes are x1, y1, x2, y2 in pixels of the upright image
   */
  async detect(image, { minScore = null, tracker = null } = {}) {
    if (tracker && minScore !== null) throw new Error("minScore belongs to the tracker: detector.tracker({ minScore })");
    const found = await this.detectTimed(image);
    const { ids, boxes, scores, labels } = tracker ? tracker.update(found) : shown(found, this.thresholds, minScore);
    return scores.map((score, i) => ({
      label: this.labels[labels[i]],
      categoryId: this.categoryIds[labels[i]],
      score,
      box: boxes[i],
      ...(ids && { id: ids[i] }),
    }));
  }

  /**
   * All detections in an image, weak ones included, for `Tracker` and `Counter`.
   *
   * @param {ImageBitmapSource} image
   * @returns {Promise<{height: number, width: number, boxes: number[][], scores: number[], labels: number[],
   *   times: {decode: number, preprocess: number, infer: number, postprocess: number}}>} labels are indices of `labels`; times are
   *   in nanoseconds
   */
  detectTimed(image) {
    const found = this.#turn.then(() => this.#detectNow(image));
    this.#turn = found.catch(() => {});
    return found;
  }

  /** A tracker for one camera or video; a detection of at least `minScore` can begin a track. */
  tracker({ minScore = null, ...settings } = {}) {
    return new Tracker(minScore ?? this.thresholds ?? DEFAULT_SCORE, settings);
  }

  /** End the worker and free its memory. */
  close() {
    this.#engine.close();
  }

  async #detectNow(image) {
    const { input } = this.#bundle.spec;
    const line = await (image instanceof Blob ? detectInFile(this.#engine, image, input.exif !== "ignore") : this.#inBitmap(image));
    const { height, width, boxes, scores, labels, times } = visible(line, placementOf(line.height, line.width, input));
    return { height, width, boxes, scores, labels, times };
  }

  async #inBitmap(image) {
    if (globalThis.HTMLImageElement && image instanceof HTMLImageElement) {
      await image.decode().catch(() => {
        throw new Error(`the image ${image.currentSrc || "without a source"} cannot be loaded`);
      });
    }
    const bitmap = await createImageBitmap(image).catch((error) => {
      throw new Error(`the image has no pixels to detect in: ${error.message}`);
    });
    return this.#engine.call("detectBitmap", { bitmap }, [bitmap]);
  }
}

function recommended({ spec, tfliteFiles }, runtime) {
  const file = preferred(tfliteFiles, runtime);
  if (!file) throw new Error(`${spec.name} contains no .tflite file; export it with --format tflite`);
  return file.path;
}

async function openBundle(source) {
  if (source instanceof Bundle) return source;
  if (source instanceof Blob) return bundleFromZip(new Uint8Array(await source.arrayBuffer()), BUNDLE_BYTES);
  if (source instanceof Uint8Array) return bundleFromZip(source, BUNDLE_BYTES);
  if (source instanceof ArrayBuffer) return bundleFromZip(new Uint8Array(source), BUNDLE_BYTES);
  const url = new URL(source, globalThis.document?.baseURI ?? location.href);
  if (url.pathname.endsWith("/")) return bundleFromFolder(url.href);
  const reply = await fetch(url).catch(() => {
    throw new Error(`${url} cannot be fetched: the server does not answer; check the connection and try again`);
  });
  if (!reply.ok) throw new Error(`${url} cannot be fetched: the server says ${reply.status}; the address of a folder ends with a slash`);
  return bundleFromZip(new Uint8Array(await reply.arrayBuffer()), BUNDLE_BYTES).catch((error) => {
    throw new Error(`${url}: ${error.message}`);
  });
}
