// A lock for computing: concurrent runs on a device would distort each other's times.

import { Refusal } from "./refusal.js";

const BUSY_MS = 10_000;

/** A lock for computing. */
export class Turn {
  #taken = false;
  #waiting = [];

  /**
   * Run `action` while nothing else computes.
   *
   * @param {() => Promise<any>} action
   * @param {number} timeoutMs how long to wait for the lock
   * @throws {Refusal} other work takes too long
   */
  async run(action, timeoutMs = BUSY_MS) {
    if (this.#taken) await this.#wait(timeoutMs);
    this.#taken = true;
    try {
      return await action();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken = false;
    }
  }

  #wait(timeoutMs) {
    return new Promise((resolve, reject) => {
      const timer = Number.isFinite(timeoutMs) && setTimeout(giveUp, timeoutMs, this.#waiting);
      const go = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.push(go);
      function giveUp(waiting) {
        waiting.splice(waiting.indexOf(go), 1);
        reject(new Refusal(409, "busy", "the device is busy with other work; try again later"));
      }
    });
  }
}
