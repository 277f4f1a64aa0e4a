// Counts tracks that cross lines or are in zones, by the rules of mobiledet/tracking/counting.py.

export class Counter {
  #point;

  /**
   * Counts the tracks of one camera or video, by class index.
   *
   * @param {{name: string, start: number[], end: number[], margin?: number}[]} lines in pixels of the boxes
   * @param {{name: string, corners: number[][]}[]} zones polygons
   * @param {"bottom" | "centre"} point the point of a box that decides
   */
  constructor(lines = [], zones = [], point = "bottom") {
    this.lines = lines.map((line) => ({ line, toRight: new Map(), toLeft: new Map(), last: new Map() }));
    this.zones = zones.map((zone) => ({ zone, now: new Map(), visitors: new Map(), known: new Set() }));
    this.#point = point;
  }

  /** Process the next frame, a result of `Tracker.update`. */
  update({ ids, boxes, labels, ended }) {
    const points = boxes.map(([x1, y1, x2, y2]) => [(x1 + x2) / 2, this.#point === "centre" ? (y1 + y2) / 2 : y2]);
    for (const count of this.lines) {
      ids.forEach((id, i) => cross(count, id, labels[i], points[i]));
      for (const id of ended) count.last.delete(id);
    }
    for (const count of this.zones) {
      count.now = new Map();
      ids.forEach((id, i) => {
        if (!isInside(count.zone.corners, points[i])) return;
        add(count.now, labels[i]);
        if (!count.known.has(id)) add(count.visitors, labels[i]);
        count.known.add(id);
      });
      for (const id of ended) count.known.delete(id);
    }
  }
}

/** Whether a point lies in a polygon, by the even-odd rule. */
export function isInside(corners, [x, y]) {
  let inside = false;
  corners.forEach(([x1, y1], i) => {
    const [x2, y2] = corners[(i + 1) % corners.length];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  });
  return inside;
}

function cross(count, id, label, at) {
  const { start, end, margin = 0 } = count.line;
  const side = sideOf(start, end, at);
  const [across, down] = [end[0] - start[0], end[1] - start[1]];
  if (side === 0 || side * side < margin * margin * (across * across + down * down)) return;
  const last = count.last.get(id);
  count.last.set(id, at);
  if (!last || sideOf(start, end, last) > 0 === side > 0) return;
  const [first, second] = [sideOf(last, at, start), sideOf(last, at, end)];
  if ((first > 0 && second > 0) || (first < 0 && second < 0)) return;
  add(side > 0 ? count.toRight : count.toLeft, label);
}

/** Positive if `at` is on the right of the path from `start` to `end`, negative on the left. */
function sideOf(start, end, at) {
  return (end[0] - start[0]) * (at[1] - start[1]) - (end[1] - start[1]) * (at[0] - start[0]);
}

function add(tally, label) {
  tally.set(label, (tally.get(label) ?? 0) + 1);
}
