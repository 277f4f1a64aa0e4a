// The part of the page that shows what the host does with this device.

import { setText } from "./words.js";

const RATE_IMAGES = 20;

export class DevicePanel {
  #images = 0;
  #times = [];
  #facts = new Map();

  /** @param {HTMLElement} element the section of the page */
  constructor(element) {
    this.element = element;
    const part = (name) => element.querySelector(`[data-${name}]`);
    this.parts = Object.fromEntries(["lamp", "status", "advice", "progress", "facts"].map((name) => [name, part(name)]));
    element.hidden = false;
  }

  /** Show whether the host answers. */
  connected(yes) {
    this.parts.lamp.classList.toggle("on", yes);
    if (yes && this.parts.status.textContent.startsWith("connecting")) this.#status("waiting for work");
    if (!yes) this.#status("reconnecting to the host; is mobiledet still running there?");
  }

  /** Show what the user should do. */
  advise(text) {
    this.parts.advice.textContent = text;
  }

  /** Show that the page is no longer a device. */
  ended(reason) {
    this.parts.lamp.classList.remove("on");
    this.parts.progress.hidden = true;
    this.#status(reason);
  }

  /** Show an event of the agent; the methods below are named after their kinds. */
  show(event) {
    this[event.kind](event);
  }

  #status(text) {
    setText(this.parts.status, text);
  }

  #fact(name, value) {
    this.#facts.set(name, value);
    const rows = [...this.#facts].flatMap(([key, text]) => [
      Object.assign(document.createElement("dt"), { textContent: key }),
      Object.assign(document.createElement("dd"), { textContent: text }),
    ]);
    this.parts.facts.replaceChildren(...rows);
  }

  bundle({ bundle }) {
    this.#status(`got the bundle ${bundle.spec.name}`);
  }

  session({ bundle, file, threads }) {
    this.#images = 0;
    this.#times = [];
    this.#facts.clear();
    this.#fact("Model", bundle.spec.name);
    this.#fact("File", file.path);
    this.#fact("Threads", String(threads));
    this.#status("checking the golden outputs");
  }

  golden({ report }) {
    this.#fact("Golden gate", `passed, ${report.detections} detections in ${report.cases} images`);
    this.#status("ready");
  }

  image({ line }) {
    this.#images++;
    this.#times.push(performance.now());
    if (this.#times.length > RATE_IMAGES) this.#times.shift();
    const seconds = (this.#times.at(-1) - this.#times[0]) / 1000;
    const rate = seconds > 0 ? `, ${((this.#times.length - 1) / seconds).toFixed(1)} per second` : "";
    this.#status("detecting in images from the host");
    this.#fact("Images", `${this.#images}${rate}`);
    if (line.times) this.#fact("Model time", `${(line.times.infer / 1e6).toFixed(1)} ms`);
  }

  benchmark({ running, plan }) {
    this.parts.progress.hidden = !running;
    if (running) {
      const pace = plan.fps ? `, ${plan.fps} images per second` : "";
      this.#status(`measuring latency for at least ${plan.warmup_seconds + plan.seconds} s${pace}`);
    } else {
      this.#status("latency is measured");
    }
  }

  closed() {
    this.#status("done; waiting for work");
  }
}
