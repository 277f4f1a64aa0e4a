// Chooses the first model file of a bundle to run.

/** The default file in a browser: int8, which is the fastest and smallest on a CPU, or else the first. */
export function preferred(files) {
  return files.find(({ precision }) => precision === "int8") ?? files[0];
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
