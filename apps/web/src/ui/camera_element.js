// <mobiledet-camera src="x.mobiledet/">: the camera's images with boxes around detected objects, in one element.

import { FramePacer, THERMAL_LEVELS } from "../core/pacer.js";
import { Detector } from "../runtime/detector.js";
import { cameraProblem, startCamera, stopCamera } from "./camera.js";
import { drawDetections } from "./draw.js";
import { Speaker, describe } from "./words.js";

const NS_PER_MS = 1e6;
const [START, STOP] = ["Start the camera", "Stop the camera"];
const CONTENT = `
  <canvas part="view" width="640" height="480" role="img" aria-label="the camera is off"></canvas>
  <p part="problem" role="alert" hidden></p>
  <p class="visually-hidden" role="status"></p>
  <button part="button" type="button" disabled>${START}</button>`;
const STYLE = `
  :host { display: inline-block; max-width: 100%; }
  :host([hidden]), [hidden] { display: none; }
  canvas { display: block; width: 100%; background: black; }
  p { margin: 0.5em 0; overflow-wrap: anywhere; }
  button { min-height: 2.75em; margin: 0.5em 0; padding: 0 1em; font: inherit; }
  .visually-hidden { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }`;

/** The element `mobiledet-camera`; its attributes and events are described in camera.d.ts. */
export class CameraElement extends HTMLElement {
  static observedAttributes = ["src", "file", "accelerator", "assets", "min-score", "track"];

  #parts;
  #speaker;
  #detector = null;
  #tracker = null;
  #video = null;
  #opened = 0; // number of bundles that were asked for

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = CONTENT;
    const part = (selector) => root.querySelector(selector);
    this.#parts = { view: part("canvas"), problem: part("[role=alert]"), button: part("button") };
    this.#speaker = new Speaker(part("[role=status]"));
    this.#parts.button.addEventListener("click", () => (this.#video ? this.stop() : this.start().catch(() => {})));
  }

  /** The detector in use, or null while none is loaded. */
  get detector() {
    return this.#detector;
  }

  connectedCallback() {
    this.#open();
  }

  disconnectedCallback() {
    this.#close();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (["min-score", "track"].includes(name)) this.#tracker = null;
    else this.#open();
  }

  /** Start the camera, which asks for permission. */
  async start() {
    try {
      this.#show("");
      if (!this.#detector) throw new Error("no bundle is loaded yet");
      const problem = cameraProblem();
      if (problem) throw new Error(problem);
      const video = await startCamera(this.getAttribute("facing") ?? undefined);
      if (this.#video || !this.#detector) return stopCamera(video);
      this.#video = video;
      this.#tracker = null;
      this.#parts.button.textContent = STOP;
      video.srcObject.getVideoTracks()[0].addEventListener("ended", () => this.#fail(new Error("the camera was disconnected")));
      this.#follow(video).catch((error) => this.#video === video && this.#fail(error));
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** Stop the camera; the last image stays. */
  stop() {
    if (!this.#video) return;
    stopCamera(this.#video);
    this.#video = null;
    this.#parts.button.textContent = START;
  }

  async #open() {
    this.#close();
    const number = ++this.#opened;
    const source = this.getAttribute("src");
    if (!source) return;
    const option = (name) => this.getAttribute(name) ?? undefined;
    const options = { file: option("file"), accelerator: option("accelerator"), assets: option("assets") };
    let detector;
    try {
      detector = await Detector.open(source, options);
    } catch (error) {
      if (number === this.#opened) this.#fail(error);
      return;
    }
    if (number !== this.#opened) return detector.close();
    this.#detector = detector;
    this.#parts.button.disabled = false;
    this.#show("");
    this.dispatchEvent(new Event("load"));
    if (this.hasAttribute("autoplay")) this.start().catch(() => {});
  }

  #close() {
    this.#opened++;
    this.stop();
    this.#detector?.close();
    this.#detector = null;
    this.#parts.button.disabled = true;
  }

  async #follow(video) {
    const pacer = this.#pacer();
    while (this.#video === video) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      if (this.#video !== video || pacer.decide(Math.round(NS_PER_MS * performance.now())) !== "detect") continue;
      const image = await createImageBitmap(video);
      const detections = await this.#detector.detect(image, this.#options());
      pacer.finish();
      if (this.#video !== video) return image.close();
      drawDetections(this.#parts.view, image, detections);
      const { height, width } = image;
      image.close();
      const text = describe(detections.map(({ label }) => label));
      this.#parts.view.setAttribute("aria-label", text);
      this.#speaker.say(text, { rateLimited: true });
      this.dispatchEvent(new CustomEvent("detections", { detail: { detections, height, width } }));
    }
  }

  /** Limits the rate, so that a phone stays cool. */
  #pacer() {
    const text = this.getAttribute("max-rate");
    return text === null ? new FramePacer() : new FramePacer({ rates: THERMAL_LEVELS.map(() => Number(text)) });
  }

  #options() {
    const text = this.getAttribute("min-score");
    const minScore = text === null ? null : Number(text);
    if (!(minScore === null || (minScore >= 0 && minScore <= 1))) throw new Error(`min-score '${text}' is not a number in 0..1`);
    if (!this.hasAttribute("track")) return { minScore };
    this.#tracker ??= this.#detector.tracker({ minScore });
    return { tracker: this.#tracker };
  }

  #fail(error) {
    this.stop();
    this.#show(error.message);
    this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
  }

  #show(problem) {
    this.#parts.problem.textContent = problem;
    this.#parts.problem.hidden = !problem;
  }
}

customElements.define("mobiledet-camera", CameraElement);
