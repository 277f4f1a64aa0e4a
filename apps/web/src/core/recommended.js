// The model file to run if nobody names one; the rule of mobiledet/recommended.py.

/** Format and precisions of each runtime, the best precision first. */
const RUNTIMES = new Map([
  ["cpu", ["tflite", ["int8", "float32", "float16", "int8-weights", "int16x8"]]],
  ["gpu", ["tflite", ["float16", "float32", "int8-weights", "int8", "int16x8"]]],
  ["npu", ["tflite", ["int8", "int16x8", "float16", "float32", "int8-weights"]]],
  ["coreml", ["coreml", ["float16", "float32", "int8", "palette6", "w8a8"]]],
  ["coreai", ["coreai", ["float16", "float32", "int8-weights"]]],
]);
const FACES = ["", "graph"]; // interfaces with the four outputs

/**
 * The recommendations stored in a bundle, and those of the rule for other runtimes.
 *
 * @param {any} stored the field `recommended` of bundle.json; missing in older bundles
 * @param {{path: string, format: string, precision: string, face?: string}[]} files
 * @returns {Map<string, string>} path of the file to run, by runtime: cpu, gpu, npu, coreml, coreai
 * @throws {Error} it is malformed, or names a file that the bundle does not have or the runtime cannot run
 */
export function readRecommended(stored, files) {
  const chosen = recommend(files);
  if (stored === undefined || stored === null) return chosen;
  if (typeof stored !== "object" || Array.isArray(stored)) throw new Error("bundle.json: recommended is not an object");
  for (const [runtime, path] of Object.entries(stored)) {
    const file = files.find((known) => known.path === path);
    if (!file) throw new Error(`bundle.json: recommended.${runtime} names ${path}, which is not a model file of this bundle`);
    if (RUNTIMES.has(runtime) && !fits(runtime, file)) {
      throw new Error(`bundle.json: recommended.${runtime} names ${path}, which that runtime cannot run`);
    }
    chosen.set(runtime, path);
  }
  return chosen;
}

function recommend(files) {
  const chosen = new Map();
  for (const [runtime, [, order]] of RUNTIMES) {
    const place = ({ precision }) => (order.includes(precision) ? order.indexOf(precision) : order.length);
    const [best] = files.filter((file) => fits(runtime, file)).sort((a, b) => place(a) - place(b));
    if (best) chosen.set(runtime, best.path);
  }
  return chosen;
}

function fits(runtime, { format, face = "" }) {
  return format === RUNTIMES.get(runtime)[0] && FACES.includes(face);
}
