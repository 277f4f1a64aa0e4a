// Decides which frames of a camera are processed; the reference is apps/testdata/vectors/pacing.py.

const SECOND_NS = 1e9;
const DECISIONS = ["detect", "busy", "rate", "heat"];

/** Thermal levels, the same scale on all platforms; the coolest first. */
export const THERMAL_LEVELS = ["nominal", "fair", "serious", "critical"];

const LEVEL_OF = new Map([
  ["nominal", 0],
  ["none", 0],
  ["fair", 1],
  ["light", 1],
  ["moderate", 1],
  ["serious", 2],
  ["severe", 2],
  ["critical", 3],
  ["emergency", 3],
  ["shutdown", 3],
]);

export const PACER_DEFAULTS = { rates: [30, 20, 10, 2], recoverSeconds: 10 };

/**
 * Decides which frames are processed: at a limited rate, not while the detector is busy, and fewer when the device is warm.
 *
 * A frame is taken up to half a period early, so that a camera whose frames are not evenly spaced is not halved; the mean
 * rate stays below the limit. A hotter state applies at once, a cooler one after `recoverSeconds`.
 */
export class FramePacer {
  #rates;
  #periods;
  #recoverNs;
  #level = 0;
  #busy = false;
  #now = -Infinity;
  #due = null; // when the latest detection was due
  #coolerSince = null;

  /** Number of frames by decision since the start. */
  counts = Object.fromEntries(DECISIONS.map((decision) => [decision, 0]));

  /**
   * @param {object} [settings]
   * @param {number[]} [settings.rates] limit in frames per second at each of `THERMAL_LEVELS`: none above the one before
   *   it, 0 or 0.01 to 1000, the first not 0. A rate of 0 pauses detection.
   * @param {number} [settings.recoverSeconds] time without a state as hot as the level, before it falls by one
   * @throws {RangeError} a setting is out of range
   */
  constructor({ rates = PACER_DEFAULTS.rates, recoverSeconds = PACER_DEFAULTS.recoverSeconds } = {}) {
    const sound = rates.length === THERMAL_LEVELS.length && rates[0] > 0 && rates.every((rate) => rate === 0 || (rate >= 0.01 && rate <= 1000));
    if (!sound) throw new RangeError(`rates ${rates} are not ${THERMAL_LEVELS.length} numbers, each 0 or in 0.01..1000, the first not 0`);
    if (rates.some((rate, i) => i > 0 && rate > rates[i - 1])) throw new RangeError(`rates ${rates} rise with the heat`);
    if (!(recoverSeconds >= 0 && recoverSeconds <= 3600)) throw new RangeError(`recoverSeconds ${recoverSeconds} is not in 0..3600`);
    this.#rates = [...rates];
    this.#periods = rates.map((rate) => (rate > 0 ? Math.floor(SECOND_NS / rate + 0.5) : 0));
    this.#recoverNs = Math.floor(recoverSeconds * SECOND_NS + 0.5);
  }

  /** The level whose rate applies now, one of `THERMAL_LEVELS`. */
  get level() {
    return THERMAL_LEVELS[this.#level];
  }

  /** Text for the user while heat limits the rate, else empty. */
  get notice() {
    const rate = this.#rates[this.#level];
    if (rate === this.#rates[0]) return "";
    if (rate === 0) return `The device is too hot (${this.level}): detection pauses until it has cooled down.`;
    return `The device is warm (${this.level}): at most ${rate} images per second.`;
  }

  /**
   * Decide about a frame. After `detect`, `finish` must follow.
   *
   * @param {number} timeNs when it came, in whole nanoseconds of a clock that does not go back
   * @param {string | null} thermal the state as Android or Apple's systems name it; any other name, and null, count as nominal
   * @returns {"detect" | "busy" | "rate" | "heat"} whether to detect, or why the frame is skipped
   */
  decide(timeNs, thermal = null) {
    this.#now = Math.max(this.#now, timeNs);
    this.#follow(LEVEL_OF.get(thermal) ?? 0);
    const decision = this.#decision();
    if (decision === "detect") {
      this.#busy = true;
      this.#due = this.#due === null ? this.#now : Math.max(this.#due + this.#periods[this.#level], this.#now);
    }
    this.counts[decision]++;
    return decision;
  }

  /** The detector has finished, or failed. */
  finish() {
    this.#busy = false;
  }

  #follow(reported) {
    if (reported >= this.#level) {
      this.#level = reported;
      this.#coolerSince = null;
    } else if (this.#coolerSince === null) {
      this.#coolerSince = this.#now;
    } else if (this.#now - this.#coolerSince >= this.#recoverNs) {
      this.#level--;
      this.#coolerSince = reported < this.#level ? this.#now : null;
    }
  }

  #decision() {
    if (this.#busy) return "busy";
    if (this.#isDue(this.#level)) return "detect";
    return this.#isDue(0) ? "heat" : "rate";
  }

  #isDue(level) {
    const period = this.#periods[level];
    return period > 0 && (this.#due === null || this.#now - this.#due >= period - Math.floor(period / 2));
  }
}
