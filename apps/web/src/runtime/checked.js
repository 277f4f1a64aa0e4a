// Loads model files for use: a runtime that does not reproduce the golden outputs of a file is refused.

import { detectGolden, replayGolden, toleranceFor } from "../core/golden.js";
import { isKnownFormat } from "../core/image_file.js";

/**
 * Load a model file and replay its golden cases.
 *
 * @param {import("../core/bundle.js").Bundle} bundle
 * @param {object} file entry of the file in the bundle
 * @param {(options: object) => Promise<import("./engine.js").Engine>} load loads the file's content
 * @param {string} accelerator what runs it: `wasm` or `webgpu`
 * @returns {Promise<import("./engine.js").Engine>}
 * @throws {Error} the file cannot be read or run, or the golden cases are not reproduced
 */
export async function loadChecked(bundle, file, load, accelerator) {
  const engine = await load({ spec: bundle.spec, accelerator });
  try {
    const golden = bundle.golden(file);
    const expectation = { spec: bundle.spec, cases: golden.cases, tolerance: toleranceFor(golden, accelerator) };
    await replayGolden(expectation, (item) => detectGolden(engine, item, bundle.spec.input));
    return engine;
  } catch (error) {
    engine.close();
    throw error;
  }
}

/**
 * Detect in an image file of any format that this browser decodes.
 *
 * @param {import("./engine.js").Engine} engine
 * @param {Blob} file JPEG and PNG are decoded without colour management, as on other devices
 * @param {boolean} applyOrientation turn a photo by its EXIF orientation
 * @returns {Promise<object>} detections, the size of the image, times; boxes may extend into the padding of a letterbox
 * @throws {Error} it cannot be decoded
 */
export async function detectInFile(engine, file, applyOrientation) {
  const name = file.name ?? "the file";
  const content = new Uint8Array(await file.arrayBuffer());
  if (isKnownFormat(content)) {
    const line = await engine.call("detectFile", { file: content, applyOrientation });
    if (line.problem) throw new Error(`${name}: ${line.problem}`);
    return line;
  }
  const bitmap = await createImageBitmap(file, { imageOrientation: applyOrientation ? "from-image" : "none" }).catch(() => {
    throw new Error(`${name} is not an image that this browser can decode`);
  });
  return engine.call("detectBitmap", { bitmap }, [bitmap]);
}
