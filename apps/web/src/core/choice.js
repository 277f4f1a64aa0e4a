// Chooses the first model file of a bundle to run.

/** The file that the bundle recommends for a runtime: `cpu` (WebAssembly), `gpu` (WebGPU); undefined if it has none. */
export function preferred(files, runtime = "cpu") {
  return files.find(({ recommended }) => recommended.includes(runtime));
}

/**
 * The .tflite file with a path or precision.
 *
 * @param {import("./bundle.js").Bundle} bundle
 * @param {string} name
 * @throws {Error} the bundle contains no such file
 */
export function select(bundle, name) {
  const file = bundle.tfliteFiles.find(({ path, precision }) => [path, precision].includes(name));
  if (file) return file;
  const held = bundle.files.map(({ path }) => path).join(", ");
  throw new Error(`no .tflite file '${name}' in the bundle; it holds ${held}`);
}
