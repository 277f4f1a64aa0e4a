// One thing computes at a time on the whole device, or times would spoil each other.

import { Refusal } from "./refusal.js";

const BUSY_MS = 10_000;

/** The right to compute. */
export class Turn {
  #taken = false;
  #waiting = [];

  /**
   * Run `action` when it is its turn.
   *
   * @param {() => Promise<any>} action
   * @param {number} patienceMs how long to wait for the turn
   * @throws {Refusal} others compute for too long
   */
  async take(action, patienceMs = BUSY_MS) {
    if (this.#taken) await this.#wait(patienceMs);
    this.#taken = true;
    try {
      return await action();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#taken = false;
    }
  }

  #wait(patienceMs) {
    return new Promise((resolve, reject) => {
      const timer = Number.isFinite(patienceMs) && setTimeout(giveUp, patienceMs, this.#waiting);
      const go = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.push(go);
      function giveUp(waiting) {
        waiting.splice(waiting.indexOf(go), 1);
        reject(new Refusal(409, "busy", "the device is at other work; try again later"));
      }
    });
  }
}
