// The golden gate: does this runtime compute what the model file gives? The rules of mobiledet/devices/golden.py.

import { fromPicture, placementOf } from "./placement.js";

// part of the expected detections that may be decided the other way where two boxes overlap by just the NMS threshold
const UNSETTLED_SHARE = 0.05;
// from so many expected detections on, at least half must have a partner, wherever lists are cut
const FEW = 10;
// what sessions call the processor itself; everything else may compute in numbers of 16 bits
const PROCESSORS = ["cpu", "xnnpack", "wasm", "interpreter"];

/** How far a session may be from what is expected, by what its actual accelerator is called. */
export function toleranceFor({ tolerance }, accelerator) {
  return PROCESSORS.includes(accelerator) ? tolerance.cpu : tolerance.accelerated;
}

/**
 * What an engine finds in a golden case, boxes as fractions of the model's input.
 *
 * @param {{call: (name: string, args: object) => Promise<any>}} engine
 * @param {{content: Uint8Array, encoded: boolean}} golden a case
 * @param {object} input of the bundle's spec
 * @throws {Error} the picture cannot be decoded
 */
export async function detectGolden(engine, { content, encoded }, input) {
  if (!encoded) return engine.call("detectInput", { image: content });
  const { height, width, boxes, scores, labels, problem } = await engine.call("detectFile", { file: content, applyOrientation: false });
  if (problem) throw new Error(`a golden case: ${problem}`);
  return fromPicture({ boxes, scores, labels }, placementOf(height, width, input));
}

/**
 * Compare what a runtime finds in the golden cases with what the file gave at export, as sets.
 *
 * @param {{spec: object, cases: object[], tolerance: {iou: number, score: number}}} expectation cases hold boxes as
 *   (x1, y1, x2, y2) fractions, scores, labels and cut
 * @param {(golden: object) => Promise<{boxes: number[][], scores: number[], labels: number[]}>} detect boxes as fractions too
 * @returns {Promise<{cases: number, detections: number, lowest_iou: number, largest_score_difference: number}>}
 * @throws {Error} they differ
 */
export async function replayGolden({ spec, cases, tolerance }, detect) {
  const total = cases.reduce((sum, item) => sum + item.scores.length, 0);
  const report = { cases: cases.length, detections: total, lowest_iou: 1, largest_score_difference: 0 };
  let [unsettled, matched, findsAnything] = [0, 0, false];
  for (const [index, expected] of cases.entries()) {
    const found = await detect(expected);
    const pairs = match(expected, found, tolerance);
    const [difference, open] = differences(spec, expected, found, pairs, tolerance);
    unsettled += open;
    matched += pairs.length;
    findsAnything ||= found.scores.some((score) => score !== 0);
    const tooMany = unsettled > Math.ceil(UNSETTLED_SHARE * total);
    const problem = difference || (tooMany ? `${unsettled} of ${total} boxes are suppressed differently` : "");
    if (problem) throw failed(index, problem, expected.encoded);
    for (const pair of pairs) {
      report.lowest_iou = Math.min(report.lowest_iou, pair.iou);
      report.largest_score_difference = Math.max(report.largest_score_difference, pair.scoreDifference);
    }
  }
  if (total && !findsAnything) throw failed(0, `it finds nothing where ${total} detections are expected`);
  if (total >= FEW && 2 * matched < total) throw failed(0, `${matched} of ${total} detections are there`);
  return report;
}

function failed(index, problem, encoded = false) {
  const cause = encoded && index > 0 ? "it may decode or resize pictures otherwise; " : "";
  return new Error(
    `this runtime does not compute what the file gives: golden case ${index}: ${problem}; ${cause}its results would be worthless`,
  );
}

/** Pair the detections of two lists one to one, best score first, each with the same one of the highest IoU. */
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

/** What tells two lists apart, empty when nothing does; and how many boxes were suppressed on one side only. */
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

/** Whether a box on the same place that is as good may have suppressed box `i` on the other side. */
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
