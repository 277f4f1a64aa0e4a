// Detections of one image: boxes (x1, y1, x2, y2), scores, labels (class indices), best score first.

import { roundHalfToEven } from "./rounding.js";

/** The outputs of a detector's model file, in the order of the bundle's spec. */
export const OUTPUTS = ["boxes", "classes", "scores", "count"];

export const DEFAULT_SCORE = 0.3;

/**
 * Select the detections above the score threshold.
 *
 * @param {{boxes: number[][], scores: number[], labels: number[]}} found
 * @param {number[] | null} thresholds thresholds of the file's operating point, by class
 * @param {number | null} minScore one threshold for all classes; null uses `thresholds`, or `DEFAULT_SCORE` if there are none
 */
export function shown(found, thresholds, minScore = null) {
  // scores have 32 bits, and so has a score that is given, as on the other platforms
  const least = minScore === null ? null : Math.fround(minScore);
  const threshold = (label) => least ?? thresholds?.[label] ?? DEFAULT_SCORE;
  const kept = [...found.scores.keys()].filter((i) => found.scores[i] >= threshold(found.labels[i]));
  return Object.fromEntries(["boxes", "scores", "labels"].map((name) => [name, kept.map((i) => found[name][i])]));
}

/**
 * Convert the outputs of a model file to detections.
 *
 * @param {{boxes: Float32Array, classes: Float32Array, scores: Float32Array, count: Float32Array}} outputs boxes are
 *   K x 4 (ymin, xmin, ymax, xmax) as fractions of the input
 * @param {number} classCount number of classes of the model
 * @returns {{boxes: number[][], scores: number[], labels: number[]}} boxes as fractions, xyxy
 * @throws {Error} the outputs contain NaN or infinity, or an impossible count or class
 */
export function fromOutputs(outputs, classCount) {
  const { boxes, classes, scores, count } = outputs;
  if (![boxes, classes, scores, count].every((values) => values.every(Number.isFinite))) {
    throw new Error("the outputs are not finite numbers; export the bundle again");
  }
  if (!(count[0] >= 0 && count[0] <= scores.length)) {
    throw new Error(`it reports ${count[0]} detections in ${scores.length} rows; export the bundle again`);
  }
  const found = { boxes: [], scores: [], labels: [] };
  for (let i = 0; i < Math.trunc(count[0]); i++) {
    const label = roundHalfToEven(classes[i]);
    if (label < 0 || label >= classCount) {
      throw new Error(`it returns class ${label}, but its classes are 0 to ${classCount - 1}; export the bundle again`);
    }
    const [top, left, bottom, right] = boxes.subarray(4 * i, 4 * i + 4);
    found.boxes.push([left, top, right, bottom]);
    found.scores.push(scores[i]);
    found.labels.push(label);
  }
  return found;
}
