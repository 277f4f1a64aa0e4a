// Reads golden/golden.json strictly: types, ranges and lengths. See mobiledet/golden.py.

const VERSION = 2;
const NAME = /^[A-Za-z0-9_-]+\.(rgb|png)$/;
const LARGEST_FLOAT32 = 3.4028234663852886e38;

/**
 * @param {any} values decoded golden.json
 * @param {object} spec spec of the model
 * @param {string[]} paths paths of the bundle's model files
 * @param {(name: string) => Promise<Uint8Array | null>} read reads a file of the folder
 * @returns {Promise<Map<string, {runtime: string, tolerance: object, cases: object[]}>>} by path of each model file. A case:
 *   content (the model's input in bytes, or a PNG file if it is `encoded`), boxes (x1, y1, x2, y2) as fractions, scores,
 *   labels, and the score `cut` below which candidates were cut off
 * @throws {Error} the cases were written by an older or newer mobiledet, or are malformed
 */
export async function parseGolden(values, spec, paths, read) {
  const version = isObject(values) ? (values.version ?? 1) : 1;
  require(version !== 1, "golden cases of an older mobiledet; export the bundle again");
  require(version === VERSION, `golden cases of version ${version}, not ${VERSION}; use the matching mobiledet`);
  exactly(values, ["version", "cases", "files"], "golden/golden.json");
  require(Array.isArray(values.cases) && values.cases.length > 0, "golden/golden.json contains no case");
  require(isObject(values.files), "golden/golden.json: files is not an object");
  const inputs = [];
  for (const item of values.cases) inputs.push(await parseInput(item, spec, read));
  const missing = paths.find((path) => !Object.hasOwn(values.files, path));
  require(missing === undefined, `golden/golden.json: ${missing} has no outputs`);
  const unknown = Object.keys(values.files).find((path) => !paths.includes(path));
  require(unknown === undefined, `golden/golden.json: ${unknown} is not a model file of the bundle`);
  return new Map(paths.map((path) => [path, parseFile(values.files[path], `golden/golden.json: ${path}`, inputs, spec)]));
}

async function parseInput(item, spec, read) {
  exactly(item, ["input"], "golden/golden.json: a case");
  const name = item.input;
  require(typeof name === "string" && NAME.test(name), `input '${name}' is not the name of a .rgb or .png file in golden/`);
  const content = await read(name);
  require(content, `golden/${name} is missing; copy or export the bundle again`);
  const encoded = name.endsWith(".png");
  const size = spec.input.height * spec.input.width * 3;
  require(encoded || content.length === size, `input ${name} holds ${content.length} bytes, the model takes ${size}`);
  return { content, encoded };
}

function parseFile(file, where, inputs, spec) {
  exactly(file, ["runtime", "tolerance", "outputs"], where);
  const { runtime, tolerance, outputs } = file;
  require(typeof runtime === "string", `${where}: runtime is not a text`);
  exactly(tolerance, ["cpu", "accelerated"], `${where}: tolerance`);
  for (const each of Object.values(tolerance)) {
    exactly(each, ["iou", "score"], `${where}: tolerance`);
    require(isNumber(each.iou) && each.iou > 0.5 && each.iou <= 1, `${where}: iou ${each.iou} is not above 0.5 and at most 1`);
    require(isNumber(each.score) && each.score >= 0 && each.score <= 0.5, `${where}: score ${each.score} is not in 0..0.5`);
  }
  require(Array.isArray(outputs) && outputs.length === inputs.length, `${where}: not one output for each of ${inputs.length} cases`);
  const cases = outputs.map((output, index) => ({ ...inputs[index], ...parseOutputs(output, `${where}: outputs[${index}]`, spec) }));
  return { runtime, tolerance, cases };
}

function parseOutputs(output, where, spec) {
  exactly(output, ["boxes", "classes", "scores", "cut"], where);
  const { boxes, classes, scores, cut } = output;
  const isListOf = (values, isValid) => Array.isArray(values) && values.every(isValid);
  const isSide = (value) => isNumber(value) && Math.abs(value) <= LARGEST_FLOAT32;
  require(isListOf(boxes, (box) => isListOf(box, isSide) && box.length === 4), `${where}: a box is not four numbers`);
  require(
    isListOf(classes, (label) => Number.isInteger(label) && label >= 0 && label < spec.labels.length),
    `${where}: a class is not in 0..${spec.labels.length - 1}`,
  );
  require(isListOf(scores, (score) => isNumber(score) && score >= 0 && score <= 1), `${where}: a score is not in 0..1`);
  const counts = [boxes.length, classes.length, scores.length];
  require(new Set(counts).size === 1, `${where}: ${counts.join(", ")} boxes, classes and scores do not agree`);
  require(scores.length <= spec.nms.max_detections, `${where}: ${scores.length} detections in ${spec.nms.max_detections} rows`);
  require(isNumber(cut) && cut >= 0 && cut <= Math.min(1, ...scores), `${where}: cut ${cut} is not in 0..lowest score`);
  const xyxy = boxes.map(([top, left, bottom, right]) => [left, top, right, bottom]);
  return { boxes: xyxy, scores, labels: classes, cut: Math.max(cut, spec.nms.score) };
}

function exactly(value, names, where) {
  require(isObject(value), `${where} is not an object`);
  const missing = names.find((name) => !Object.hasOwn(value, name));
  require(missing === undefined, `${where}: ${missing} is missing`);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  require(unknown === undefined, `${where}: ${unknown} is unknown`);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function require(condition, message) {
  if (!condition) throw new Error(message);
}
