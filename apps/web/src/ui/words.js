// Describes detections in words, for screen readers.

/** Such as "3 detected: 2 dog, 1 cat"; the most frequent class first. */
export function describe(names) {
  if (!names.length) return "nothing detected";
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`);
  return `${names.length} detected: ${parts.join(", ")}`;
}

/** Set a text only if it changes: a live region is read aloud whenever it is set. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Announces texts in a live region, at most every few seconds and never twice in a row. */
export class Speaker {
  #last = -Infinity;

  /**
   * @param {HTMLElement} element with role status
   * @param {number} pauseMs shortest time between two texts
   * @param {() => number} clock in milliseconds
   */
  constructor(element, pauseMs = 5000, clock = () => performance.now()) {
    Object.assign(this, { element, pauseMs, clock });
  }

  /** Announce a text at once; if it is rate-limited, only if the last one was long enough ago. */
  say(text, { rateLimited = false } = {}) {
    if (text === this.element.textContent || (rateLimited && this.clock() - this.#last < this.pauseMs)) return;
    this.#last = this.clock();
    this.element.textContent = text;
  }
}
