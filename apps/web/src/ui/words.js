// What was found, in words, for those who do not see the picture.

/** Such as "3 found: 2 dog, 1 cat"; the class that is found most often first. */
export function inWords(names) {
  if (!names.length) return "nothing found";
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${count} ${name}`);
  return `${names.length} found: ${parts.join(", ")}`;
}

/** Write a text only where it differs: a live region is read out whenever it is written to. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says a text in a live region, not oftener than every few seconds and never twice in a row. */
export class Speaker {
  #last = -Infinity;

  /**
   * @param {HTMLElement} element with role status
   * @param {number} pauseMs between two texts
   * @param {() => number} clock in milliseconds
   */
  constructor(element, pauseMs = 5000, clock = () => performance.now()) {
    Object.assign(this, { element, pauseMs, clock });
  }

  /** Say it at once, or, where it is one of many, when the last was long enough ago. */
  say(text, { oneOfMany = false } = {}) {
    if (text === this.element.textContent || (oneOfMany && this.clock() - this.#last < this.pauseMs)) return;
    this.#last = this.clock();
    this.element.textContent = text;
  }
}
