// The golden gate: does this runtime reproduce the outputs of the model file? The rules of mobiledet/devices/golden.py.

import { fromImage, placementOf } from "./placement.js";

// fraction of the expected detections that may be suppressed differently because an IoU is near the NMS threshold
const UNSETTLED_SHARE = 0.05;
// with at least this number of expected detections, half of them must match even if lists are cut
const FEW = 10;
// accelerators of sessions that are the CPU itself; all others may compute in 16 bits
const PROCESSORS = ["cpu", "xnnpack", "wasm", "interpreter"];

/** The tolerance for a session with this accelerator. */
export function toleranceFor({ tolerance }, accelerator) {
  return PROCESSORS.includes(accelerator) ? tolerance.cpu : tolerance.accelerated;
}

/**
 * Detect in a golden case; boxes are fractions of the model's input.
 *
 * @param {{call: (name: string, args: object) => Promise<any>}} engine
 * @param {{content: Uint8Array, encoded: boolean}} golden the case
 * @param {object} input input of the bundle's spec
 * @throws {Error} the image cannot be decoded
 */
export async function detectGolden(engine, { content, encoded }, input) {
  if (!encoded) return engine.call("detectInput", { image: content });
  const { height, width, boxes, scores, labels, problem } = await engine.call("detectFile", { file: content, applyOrientation: false });
  if (problem) throw new Error(`a golden case: ${problem}`);
  return fromImage({ boxes, scores, labels }, placementOf(height, width, input));
}

/**
 * Compare the detections of a runtime in the golden cases with those of the file at export, as sets.
 *
 * @param {{spec: object, cases: object[], tolerance: {iou: number, score: number}}} expectation cases contain boxes as
 *   (x1, y1, x2, y2) fractions, scores, labels and cut
 * @param {(golden: object) => Promise<{boxes: number[][], scores: number[], labels: number[]}>} detect returns boxes as fractions, too
 * @returns {Promise<{cases: number, detections: number, lowest_iou: number, largest_score_difference: number}>}
 * @throws {Error} the detections differ
 */
export async function replayGolden({ spec, cases, tolerance }, detect) {
  const total = cases.reduce((sum, item) => sum + item.scores.length, 0);
  const report = { cases: cases.length, detections: total, lowest_iou: 1, largest_score_difference: 0 };
  let [unsettled, matched, detectsAnything] = [0, 0, false];
  for (const [index, expected] of cases.entries()) {
    const found = await detect(expected);
    const pairs = match(expected, found, tolerance);
    const [difference, oneSided] = differences(spec, expected, found, pairs, tolerance);
    unsettled += oneSided;
    matched += pairs.length;
    detectsAnything ||= found.scores.some((score) => score !== 0);
    const tooMany = unsettled > Math.ceil(UNSETTLED_SHARE * total);
    const problem = difference || (tooMany ? `${unsettled} of ${total} boxes are suppressed differently` : "");
    if (problem) throw failed(index, problem, expected.encoded);
    for (const pair of pairs) {
      report.lowest_iou = Math.min(report.lowest_iou, pair.iou);
      report.largest_score_difference = Math.max(report.largest_score_difference, pair.scoreDifference);
    }
  }
  if (total && !detectsAnything) throw failed(0, `it detects nothing where ${total} detections are expected`);
  if (total >= FEW && 2 * matched < total) throw failed(0, `only ${matched} of ${total} detections match`);
  return report;
}

function failed(index, problem, encoded = false) {
  const cause = encoded && index > 0 ? "it may decode or resize images differently; " : "";
  return new Error(
    `this runtime does not reproduce the outputs of the model file: golden case ${index}: ${problem}; ${cause}its results would be worthless`,
  );
}

/** Match the detections of two lists one to one, best score first, each with the matching one of highest IoU. */
export function match(expected, found, tolerance) {
  const taken = new Set();
  const pairs = [];
  for (const row of bestFirst(expected.scores)) {
    let best = null;
    for (let column = 0; column < found.scores.length; column++) {
      if (taken.has(column) || expected.labels[row] !== found.labels[column]) continue;
      const scoreDifference = Math.abs(expected.scores[row] - found.scores[column]);
      const iou = intersectionOverUnion(expected.boxes[row], found.boxes[column]);
      if (iou < tolerance.iou || scoreDifference > tolerance.score) continue;
      if (!best || iou > best.iou) best = { expected: row, found: column, iou, scoreDifference };
    }
    if (best) {
      taken.add(best.found);
      pairs.push(best);
    }
  }
  return pairs;
}

/** Description of the difference between two lists, empty if there is none; number of boxes suppressed on one side only. */
function differences(spec, expected, found, pairs, tolerance) {
  if (expected.scores.length && found.scores.length && !found.scores.some((score) => score !== 0)) {
    return [`all scores are zero where ${expected.scores.length} detections are expected`, 0];
  }
  let unsettled = 0;
  const sides = [
    ["misses", expected, found, new Set(pairs.map((pair) => pair.expected))],
    ["invents", found, expected, new Set(pairs.map((pair) => pair.found))],
  ];
  for (const [verb, ours, theirs, paired] of sides) {
    const full = theirs.scores.length >= spec.nms.max_detections;
    const end = full ? Math.min(...theirs.scores) : expected.cut;
    const isAtCut = (score) => score >= expected.cut - tolerance.score && score <= end + tolerance.score;
    const single = [...ours.scores.keys()].filter((i) => !paired.has(i) && !isAtCut(ours.scores[i]));
    const unexplained = single.filter((i) => !maySuppress(spec, ours, i, theirs, tolerance));
    unsettled = Math.max(unsettled, single.length - unexplained.length);
    if (unexplained.length) {
      const worst = unexplained.reduce((a, b) => (ours.scores[b] > ours.scores[a] ? b : a));
      const box = ours.boxes[worst].map((side) => side.toFixed(3)).join(", ");
      const what = `${spec.labels[ours.labels[worst]]} ${ours.scores[worst].toFixed(3)} at (${box})`;
      return [`it ${verb} ${what}, ${single.length} of ${ours.scores.length} differ`, 0];
    }
  }
  return ["", unsettled];
}

/** Whether an overlapping box with a similar or better score may have suppressed box `i` on the other side. */
function maySuppress(spec, ours, i, theirs, tolerance) {
  const least = spec.nms.iou - (1 - tolerance.iou);
  return theirs.scores.some(
    (score, j) =>
      ours.labels[i] === theirs.labels[j] &&
      score >= ours.scores[i] - tolerance.score &&
      intersectionOverUnion(ours.boxes[i], theirs.boxes[j]) >= least,
  );
}

function bestFirst(scores) {
  return [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
}

function intersectionOverUnion(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const intersection = width * height;
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection;
  return union > 0 ? intersection / union : 0;
}
