// Detections of one image: boxes (x1, y1, x2, y2), scores, labels (class indices), best score first.

import { roundHalfToEven } from "./rounding.js";

/** The outputs of a model file that a detector has, in the order of the bundle's spec. */
export const OUTPUTS = ["boxes", "classes", "scores", "count"];

export const DEFAULT_SCORE = 0.3;

/**
 * What of the detections is shown.
 *
 * @param {{boxes: number[][], scores: number[], labels: number[]}} found
 * @param {number[] | null} thresholds of the file's operating point, by class
 * @param {number | null} least score of all classes, which overrules them; null: they hold, or `DEFAULT_SCORE` without any
 */
export function shown(found, thresholds, least = null) {
  const from = (label) => least ?? thresholds?.[label] ?? DEFAULT_SCORE;
  const kept = [...found.scores.keys()].filter((i) => found.scores[i] >= from(found.labels[i]));
  return Object.fromEntries(["boxes", "scores", "labels"].map((name) => [name, kept.map((i) => found[name][i])]));
}

/**
 * What a file found in one image.
 *
 * @param {{boxes: Float32Array, classes: Float32Array, scores: Float32Array, count: Float32Array}} outputs boxes are
 *   K x 4 (ymin, xmin, ymax, xmax) as fractions of the input
 * @param {number} classCount classes that the model tells apart
 * @returns {{boxes: number[][], scores: number[], labels: number[]}} boxes as fractions too
 * @throws {Error} the outputs hold NaN or infinity, or a count or class that cannot be
 */
export function fromOutputs(outputs, classCount) {
  const { boxes, classes, scores, count } = outputs;
  if (![boxes, classes, scores, count].every((values) => values.every(Number.isFinite))) {
    throw new Error("the outputs are not finite numbers; export the bundle again");
  }
  if (!(count[0] >= 0 && count[0] <= scores.length)) {
    throw new Error(`counts ${count[0]} detections in ${scores.length} rows; export the bundle again`);
  }
  const found = { boxes: [], scores: [], labels: [] };
  for (let i = 0; i < Math.trunc(count[0]); i++) {
    const label = roundHalfToEven(classes[i]);
    if (label < 0 || label >= classCount) {
      throw new Error(`gives class ${label}, its classes are 0 to ${classCount - 1}; export the bundle again`);
    }
    const [top, left, bottom, right] = boxes.subarray(4 * i, 4 * i + 4);
    found.boxes.push([left, top, right, bottom]);
    found.scores.push(scores[i]);
    found.labels.push(label);
  }
  return found;
}
