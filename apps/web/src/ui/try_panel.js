// The part of the page for users: runs a bundle on images or the camera and draws boxes.

import { bundleFromZip } from "../core/bundle.js";
import { preferred } from "../core/choice.js";
import { DEFAULT_SCORE, shown } from "../core/detections.js";
import { FramePacer } from "../core/pacer.js";
import { placementOf, visible } from "../core/placement.js";
import { percentile } from "../core/statistics.js";
import { Tracker } from "../core/tracker.js";
import { detectInFile, loadChecked } from "../runtime/checked.js";
import { requireWebGpu } from "../runtime/webgpu.js";
import { cameraProblem, startCamera, stopCamera } from "./camera.js";
import { captionOf, colourOf, draw } from "./draw.js";
import { Speaker, describe, setText } from "./words.js";

const RECENT_FRAMES = 30;
const CAPTION_MS = 500; // between two captions of the camera
const NS_PER_MS = 1e6;

export class TryPanel {
  #bundle = null;
  #engine = null;
  #video = null;
  #shown = null; // what is drawn: image, size, found, which contains ids if the objects are tracked
  #tracker = null; // of the running camera
  #thresholds = null; // thresholds of the file's operating point
  #usesSlider = true; // whether the slider sets the score threshold
  #description = ""; // what is drawn, for screen readers
  #locked = false;
  #loading = Promise.resolve();

  /**
   * @param {{load: Function, threads: number, bundleBytes: number}} runtime
   * @param {(message: string) => void} showProblem
   */
  constructor(runtime, showProblem) {
    this.runtime = runtime;
    this.showProblem = showProblem;
    const names = ["bundle", "file", "accelerator", "score", "score-value", "picture", "camera", "track"];
    names.push("hint", "view", "caption", "found");
    this.parts = Object.fromEntries(names.map((name) => [name, document.getElementById(name)]));
    const { bundle, file, accelerator, score, picture, camera, track } = this.parts;
    this.speaker = new Speaker(document.getElementById("spoken"));
    // on a phone, the camera comes first
    if (matchMedia("(pointer: coarse)").matches) camera.parentElement.prepend(camera);
    bundle.addEventListener("change", () => this.#guard(() => this.#openFile(bundle.files[0])));
    file.addEventListener("change", () => this.#guard(() => this.#load()));
    accelerator.addEventListener("change", () => this.#guard(() => this.#load()));
    track.addEventListener("change", () => (this.#tracker = null));
    picture.addEventListener("change", () => this.#guard(() => this.#showImage(picture.files[0])));
    camera.addEventListener("click", () => this.#guard(() => (this.#video ? this.#stop() : this.#showCamera())));
    score.addEventListener("input", () => {
      this.#usesSlider = true;
      this.#tracker = null;
      this.#redraw();
    });
    addEventListener("resize", () => this.#redraw());
  }

  /** Show a bundle and load its default file. */
  async offer(bundle) {
    this.#bundle = bundle;
    const options = bundle.tfliteFiles.map((file) => new Option(`${file.precision} (${megabytes(file.bytes)})`, file.path));
    this.parts.file.replaceChildren(...options);
    this.parts.file.value = preferred(bundle.tfliteFiles)?.path;
    if (!options.length) throw new Error(`${bundle.spec.name} contains no .tflite file; export it with --format tflite`);
    await this.#load();
  }

  /** Pause the panel during a measurement, or resume it. */
  lock(locked) {
    if (locked === this.#locked) return;
    this.#locked = locked;
    if (locked) {
      this.#stop();
      this.#engine?.close();
      this.#engine = null;
      this.#setHint("This device is being measured; you can continue afterwards.");
    } else if (this.#bundle) {
      this.#guard(() => this.#load());
    }
    this.#enable(false);
  }

  async #guard(action) {
    try {
      this.showProblem("");
      await action();
    } catch (error) {
      this.showProblem(error.message);
    }
  }

  async #openFile(file) {
    if (!file) return;
    const bundle = await bundleFromZip(new Uint8Array(await file.arrayBuffer()), this.runtime.bundleBytes).catch((error) => {
      throw new Error(`${file.name}: ${error.message}`);
    });
    await this.offer(bundle);
  }

  /** Load the chosen file and pass its golden gate; loads run one after the other. */
  #load() {
    this.#loading = this.#loading.catch(() => {}).then(() => this.#loadNow());
    return this.#loading;
  }

  async #loadNow() {
    if (this.#locked) return;
    const bundle = this.#bundle;
    const file = bundle.tfliteFiles.find(({ path }) => path === this.parts.file.value);
    const before = this.parts.hint.textContent;
    this.#setHint(`Loading ${file.path} \u2026`);
    try {
      // the running file continues until the next one is loaded
      const content = await bundle.read(file.path);
      if (this.parts.accelerator.value === "webgpu") await requireWebGpu();
      await this.#replaceEngine(bundle, file, content);
    } catch (error) {
      const old = this.#engine && this.#bundle === this.#engine.bundle;
      if (old) [this.parts.file.value, this.parts.accelerator.value] = [this.#engine.path, this.#engine.accelerator];
      this.#setHint(old ? before : `${file.path} does not run. Choose another model file, processor or bundle, or reload the page.`);
      if (!old) {
        this.#stop();
        this.#engine?.close();
        this.#engine = null;
      }
      this.#enable(Boolean(old));
      throw error;
    }
    if (this.#shown?.file) await this.#showImage(this.#shown.file);
  }

  async #replaceEngine(bundle, file, content) {
    this.#stop();
    this.#enable(false);
    this.#engine?.close();
    this.#engine = null;
    const { threads } = this.runtime;
    const load = (options) => this.runtime.load(content, { threads, ...options });
    const engine = await loadChecked(bundle, file, load, this.parts.accelerator.value);
    Object.assign(engine, { bundle, path: file.path });
    if (this.#locked) {
      engine.close();
      return;
    }
    this.#engine = engine;
    this.#thresholds = file.thresholds;
    this.#usesSlider = !file.thresholds;
    this.#enable(true);
    this.#redraw();
    const { height, width } = bundle.spec.input;
    const by = engine.accelerator === "webgpu" ? `WebGPU${engine.delegatedShare === 1 ? "" : " in part"}` : `${threads} threads`;
    this.#setHint(`${bundle.spec.name}: ${bundle.spec.labels.length} classes, ${width} \u00d7 ${height} pixels, ${by}. ${cameraProblem()}`);
  }

  #enable(enabled) {
    this.parts.picture.disabled = !enabled;
    this.parts.camera.disabled = !enabled || Boolean(cameraProblem());
    this.parts.file.disabled = this.parts.accelerator.disabled = !this.#bundle || this.#locked;
    this.parts.bundle.disabled = this.#locked;
  }

  async #showImage(file) {
    if (!file || !this.#engine) return;
    this.#stop();
    // as in training: the bundle may specify that photos are not turned by their EXIF orientation
    const imageOrientation = this.#appliesOrientation ? "from-image" : "none";
    const image = await createImageBitmap(file, { imageOrientation }).catch(() => {
      throw new Error(`${file.name} is not an image that this browser can decode`);
    });
    const size = { height: image.height, width: image.width };
    const line = this.#visible(await detectInFile(this.#engine, file, this.#appliesOrientation));
    this.#shown = { file, image, size, found: line };
    this.#redraw();
    const { decode, preprocess, infer, postprocess } = line.times;
    const stages = `decode ${ms(decode)}, resize ${ms(preprocess)}, model ${ms(infer)}, boxes ${ms(postprocess)}`;
    this.parts.caption.textContent = `${file.name}, ${size.width} \u00d7 ${size.height}: ${stages} ms`;
    this.speaker.say(`${file.name}: ${this.#description}`);
  }

  get #appliesOrientation() {
    return this.#bundle.spec.input.exif !== "ignore";
  }

  #visible(line) {
    return visible(line, placementOf(line.height, line.width, this.#bundle.spec.input));
  }

  async #showCamera() {
    const video = await startCamera();
    this.#video = video;
    this.#tracker = null;
    this.parts.camera.textContent = "Stop the camera";
    this.#guard(() => this.#follow(video));
  }

  async #follow(video) {
    const starts = [];
    const infer = [];
    let captioned = -Infinity;
    const pacer = new FramePacer();
    while (this.#video === video && this.#engine) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      if (this.#video !== video || pacer.decide(Math.round(NS_PER_MS * performance.now())) !== "detect") continue;
      const bitmap = await createImageBitmap(video);
      const size = { height: bitmap.height, width: bitmap.width };
      const image = await createImageBitmap(bitmap);
      const line = this.#visible(await this.#engine.call("detectBitmap", { bitmap }, [bitmap]));
      pacer.finish();
      if (this.#video !== video) return;
      this.#shown?.image.close?.();
      this.#shown = { image, size, found: this.#tracked(line) };
      this.#redraw();
      for (const [list, value] of [[starts, performance.now()], [infer, line.times.infer]]) {
        list.push(value);
        if (list.length > RECENT_FRAMES) list.shift();
      }
      const rate = starts.length > 1 ? (1000 * (starts.length - 1)) / (starts.at(-1) - starts[0]) : 0;
      const caption = `camera, ${size.width} \u00d7 ${size.height}: ${rate.toFixed(1)} images per second, model ${ms(percentile(infer, 0.5))} ms`;
      if (performance.now() - captioned > CAPTION_MS) {
        this.parts.caption.textContent = caption;
        captioned = performance.now();
      }
      this.speaker.say(`camera: ${this.#description}`, { rateLimited: true });
    }
  }

  /** The tracked objects, if that is wanted. */
  #tracked(line) {
    if (!this.parts.track.checked) return line;
    this.#tracker ??= new Tracker(this.#minScore ?? this.#thresholds ?? DEFAULT_SCORE);
    return this.#tracker.update(line);
  }

  get #minScore() {
    return this.#usesSlider ? Number(this.parts.score.value) : null;
  }

  #stop() {
    if (!this.#video) return;
    stopCamera(this.#video);
    this.#video = null;
    this.parts.camera.textContent = "Start the camera";
  }

  #redraw() {
    setText(this.parts["score-value"], this.#minScore?.toFixed(2) ?? "by class, from the bundle");
    if (!this.#shown) return;
    const { image, size, found } = this.#shown;
    const { ids, boxes, scores, labels } = found.ids ? found : shown(found, this.#thresholds, this.#minScore);
    const names = labels.map((label) => this.#bundle.spec.labels[label]);
    const objects = boxes.map((box, i) => ({ box, text: captionOf(names[i], scores[i], ids?.[i]), colour: colourOf(labels[i]) }));
    draw(this.parts.view, image, size, objects);
    this.#description = describe(names);
    this.parts.view.setAttribute("aria-label", this.#description);
    this.parts.found.replaceChildren(...objects.map(item));
  }

  #setHint(text) {
    this.parts.hint.textContent = text;
  }
}

function item({ text, colour }) {
  const element = Object.assign(document.createElement("li"), { textContent: text });
  element.style.setProperty("--colour", colour);
  return element;
}

function ms(ns) {
  return (ns / NS_PER_MS).toFixed(1);
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
