// Parses the model's description in bundle.json, as far as a device needs it; the rules of mobiledet/spec.py.

const SCHEMA_VERSION = 1;
const RESIZE_RULES = ["stretch", "letterbox"];
const SAMPLINGS = ["mean", "bilinear"];
const PLACEMENTS = ["centre", "top-left"];
const EXIF_RULES = ["auto", "apply", "ignore"];

/** Colour of the padding of a letterbox, for each channel. */
export const PADDINGS = { grey: 114, black: 0 };

/**
 * @param {any} values decoded bundle.json
 * @returns {{name: string, input: {height: number, width: number, resize: string, sampling: string, padding: string,
 *   placement: string, exif: string}, labels: string[], categoryIds: number[],
 *   nms: {iou: number, score: number, top_k: number, max_detections: number}}}
 * @throws {Error} a field is missing or has the wrong type, or the schema differs
 */
export function parseSpec(values) {
  require(isObject(values) && "schema_version" in values, "not a mobiledet model description (no schema_version)");
  require(
    values.schema_version === SCHEMA_VERSION,
    `schema version ${values.schema_version} is not ${SCHEMA_VERSION}; use the matching mobiledet`,
  );
  for (const name of ["name", "input", "labels", "category_ids", "nms"]) {
    require(name in values, `field '${name}' is missing from the model description`);
  }
  const { input, labels, category_ids: categoryIds, nms } = values;
  require(isObject(input) && isObject(nms), "input and nms must be JSON objects");
  for (const side of [input.height, input.width]) {
    require(Number.isInteger(side) && side >= 32, `input side ${side} is not a whole number of at least 32`);
  }
  const { resize, sampling = "bilinear", padding = "grey", placement = "centre", exif = "auto" } = input; // defaults for older files, which lack the fields
  const choices = [
    ["resize", resize, RESIZE_RULES],
    ["sampling", sampling, SAMPLINGS],
    ["padding", padding, Object.keys(PADDINGS)],
    ["placement", placement, PLACEMENTS],
    ["exif", exif, EXIF_RULES],
  ];
  for (const [name, value, known] of choices) {
    require(known.includes(value), `${name} '${value}' is not one of ${known.join(", ")}; use a newer page`);
  }
  require(input.channels === "RGB", `channels '${input.channels}' is not RGB`);
  const named = Array.isArray(labels) && labels.length > 0;
  require(named && labels.every((label) => typeof label === "string" && label), "every label must be a non-empty text");
  require(
    Array.isArray(categoryIds) && categoryIds.length === labels.length && categoryIds.every(Number.isInteger),
    "category_ids are not a whole number for each label",
  );
  require(new Set(categoryIds).size === categoryIds.length, "category ids repeat");
  require(nms.iou > 0 && nms.iou < 1, `nms iou ${nms.iou} is not between 0 and 1`);
  require(nms.score >= 0 && nms.score < 1, `nms score ${nms.score} is not in 0..1`);
  require(nms.max_detections > 0 && nms.max_detections <= nms.top_k, "nms needs 0 < max_detections <= top_k");
  return { name: String(values.name), input: { ...input, resize, sampling, padding, placement, exif }, labels, categoryIds, nms };
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function require(condition, message) {
  if (!condition) throw new Error(message);
}
