// Connects the detections of successive frames to tracks with persistent ids, by the rules of
// mobiledet/tracking/tracker.py, which names their source.

import { DEFAULT_SCORE } from "./detections.js";
import { Motion } from "./motion.js";

/** Default settings, described in `TrackerSettings` of mobiledet/tracking/tracker.py. */
export const TRACKER_SETTINGS = Object.freeze({
  weak: 0.1,
  match_iou: 0.2,
  weak_iou: 0.5,
  confirm_iou: 0.3,
  confirm: 2,
  keep_lost: 30,
  smoothing: 0,
  any_class: false,
});

export class Tracker {
  #tracks = []; // oldest first; the id is 0 until the track is reported
  #begun = false;
  #lastId = 0;

  /**
   * Tracks the objects of one camera or video.
   *
   * @param {number | readonly number[]} confident score from which on a detection is confident, for all classes or by class
   * @param {{[name in keyof typeof TRACKER_SETTINGS]?: number | boolean}} settings
   */
  constructor(confident = DEFAULT_SCORE, settings = {}) {
    this.confident = confident;
    this.settings = { ...TRACKER_SETTINGS, ...settings };
  }

  /**
   * Process the next frame; must be called once for every frame, in order.
   *
   * @param {{boxes: number[][], scores: number[], labels: number[]}} found all detections of the frame, weak ones included
   * @returns {{ids: number[], boxes: number[][], scores: number[], labels: number[], sources: number[], ended: number[],
   *   leftOut: number}} the tracked objects, in the order of the detections, with their indices in `sources`; ids of the
   *   tracks that ended; number of detections that cannot be tracked
   */
  update(found) {
    const { boxes, scores, labels } = found;
    const sound = boxes.map(([x1, y1, x2, y2]) => [x1, y1, x2, y2].every(Number.isFinite) && x2 > x1 && y2 > y1);
    const threshold = (label) => (Array.isArray(this.confident) ? this.confident[label] : this.confident);
    const confident = sound.map((is, i) => is && scores[i] >= threshold(labels[i]));
    const weak = sound.map((is, i) => is && !confident[i] && scores[i] >= this.settings.weak);
    for (const track of this.#tracks) predict(track);
    this.#associate(found, confident, weak);
    const taken = new Set();
    for (const track of this.#tracks) {
      if (track.source < 0) {
        track.missed++;
        continue;
      }
      taken.add(track.source);
      correct(track, boxes[track.source], labels[track.source], this.settings.smoothing);
    }
    const stays = (track) => (track.id ? track.missed <= this.settings.keep_lost : track.source >= 0);
    const ended = this.#tracks.filter((track) => track.id && !stays(track)).map((track) => track.id);
    this.#tracks = this.#tracks.filter(stays);
    boxes.forEach((box, i) => {
      if (confident[i] && !taken.has(i)) this.#tracks.push(begin(box, labels[i], i));
    });
    for (const track of this.#tracks) {
      if (!track.id && (track.seen >= this.settings.confirm || !this.#begun)) track.id = ++this.#lastId;
    }
    this.#begun = true;
    const reported = this.#tracks.filter((track) => track.id && track.source >= 0).sort((a, b) => a.source - b.source);
    return {
      ids: reported.map((track) => track.id),
      boxes: reported.map((track) => track.shown.map(Math.fround)),
      scores: reported.map((track) => scores[track.source]),
      labels: reported.map((track) => track.label),
      sources: reported.map((track) => track.source),
      ended,
      leftOut: sound.filter((is) => !is).length,
    };
  }

  /** Assign confident detections to reported tracks, weak ones to those seen in the last frame, then to unreported tracks. */
  #associate({ boxes, labels }, confident, weak) {
    const { match_iou, weak_iou, confirm_iou, any_class } = this.settings;
    const iou = this.#tracks.map((track) => {
      track.source = -1;
      const at = track.motion.box;
      return boxes.map((box, i) => (any_class || track.label === labels[i] ? overlap(at, box) : 0));
    });
    const taken = new Set();
    for (const [accepts, candidates, least] of [
      [(track) => track.id, confident, match_iou],
      [(track) => track.id && track.missed === 0, weak, weak_iou],
      [(track) => !track.id, confident, confirm_iou],
    ]) {
      const pairs = [];
      this.#tracks.forEach((track, row) => {
        if (!accepts(track) || track.source >= 0) return;
        candidates.forEach((is, column) => {
          if (is && !taken.has(column) && iou[row][column] >= least) pairs.push([row, column]);
        });
      });
      pairs.sort(([a, i], [b, j]) => iou[b][j] - iou[a][i] || a - b || i - j);
      for (const [row, column] of pairs) {
        if (this.#tracks[row].source >= 0 || taken.has(column)) continue;
        this.#tracks[row].source = column;
        taken.add(column);
      }
    }
  }
}

function begin(box, label, source) {
  return { id: 0, label, source, motion: new Motion(box), shown: [...box], seen: 1, missed: 0 };
}

function predict(track) {
  const before = track.motion.box;
  track.motion.predict(track.missed > 0);
  const after = track.motion.box;
  track.shown = track.shown.map((side, i) => side + (after[i] - before[i]));
}

function correct(track, box, label, smoothing) {
  track.motion.correct(box);
  track.shown = track.shown.map((side, i) => box[i] + smoothing * (side - box[i]));
  Object.assign(track, { label, seen: track.seen + 1, missed: 0 });
}

/** Intersection over union. */
function overlap(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const shared = width * height;
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
  return union > 0 ? shared / union : 0;
}
