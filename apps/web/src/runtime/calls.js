// Functions of the worker that runs a model file, called by the page. Times are nanoseconds of performance.now.

import { fromOutputs } from "../core/detections.js";
import { toImage } from "../core/placement.js";
import { Preprocessor } from "../core/preprocessor.js";
import { timeRuns } from "../core/timing.js";
import { decode, pixelsOf } from "./decode.js";
import { LiteRtDetector, runtimeMemory, startRuntime } from "./litert.js";

const GREY = 127;
const YIELD_MS = 100; // longest time between runs without reading messages, such as the one to stop

let detector;
let classCount;
let preprocessor; // for the input of the bundle's spec
let condition = {};
let stopped = ""; // the reason

/** Start the runtime and load a file. */
export async function load({ content, threads, isolated, spec, accelerator = "wasm" }) {
  classCount = spec.labels.length;
  await startRuntime({ threads: isolated, accelerator });
  const started = performance.now();
  detector = await LiteRtDetector.load(content, threads, accelerator);
  const loadNs = nanoseconds(started, performance.now());
  preprocessor = new Preprocessor(spec.input, detector.arrayType);
  return { height: detector.height, width: detector.width, accelerator, delegatedShare: detector.delegatedShare, loadNs };
}

/** Run a newly loaded file for the first time, on a grey image. */
export async function firstRun() {
  const tensor = detector.prepare(new Uint8Array(detector.height * detector.width * 3).fill(GREY));
  const started = performance.now();
  const results = await detector.run(tensor);
  const firstInferNs = nanoseconds(started, performance.now());
  detector.outputs(results);
  tensor.delete();
  return { firstInferNs };
}

/** Memory of the runtime, in bytes. */
export function memory() {
  return runtimeMemory();
}

/** Detect in an image file; `problem` is why it could not be decoded. Boxes may extend into the padding of a letterbox. */
export async function detectFile({ file, applyOrientation }) {
  const started = performance.now();
  let image;
  try {
    image = await decode(file, applyOrientation);
  } catch (error) {
    return { height: 0, width: 0, boxes: [], scores: [], labels: [], times: null, problem: error.message };
  }
  return detectPixels(image, started, performance.now());
}

/** Detect in a bitmap, such as a frame of the camera. */
export async function detectBitmap({ bitmap }) {
  const started = performance.now();
  return detectPixels(pixelsOf(bitmap), started, performance.now());
}

/** Detect in an input of the model; boxes are fractions. */
export async function detectInput({ image }) {
  const started = performance.now();
  return run(image, null, started, started);
}

/**
 * Time runs of the file on one golden case.
 *
 * @param {{golden: {content: Uint8Array, encoded: boolean}, plan: object}} job plan is a BenchmarkPlan
 * @returns {Promise<object>} BenchmarkSamples without its cold starts
 * @throws {Error} it was stopped
 */
export async function measure({ golden: { content, encoded }, plan }) {
  stopped = "";
  const image = encoded ? preprocessor.prepare(await decode(content, false)) : content;
  let yielded = performance.now();
  const runner = {
    prepare: () => detector.prepare(image),
    invoke: (input) => detector.run(input),
    release: (input, outputs) => {
      detector.outputs(outputs);
      input.delete();
    },
    readState: () => ({ ...condition, memory_bytes: runtimeMemory() }),
    betweenRuns: async () => {
      if (performance.now() - yielded > YIELD_MS) {
        await sleep(0);
        yielded = performance.now();
      }
      if (stopped) throw new Error(stopped);
    },
    clockNs: () => nanoseconds(0, performance.now()),
    sleep,
  };
  return timeRuns(runner, plan);
}

/** Stop `measure` before its next run. */
export function stop({ reason }) {
  stopped = reason;
}

/** Set the state of the device, as the page sees it: a DeviceState without the memory. */
export function setCondition(value) {
  condition = value;
}

function sleep(seconds) {
  return new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
}

function detectPixels(image, started, decoded) {
  return run(preprocessor.prepare(image), preprocessor.placement, started, decoded);
}

/** Run the file on its input; boxes are in pixels of the image, or fractions of the input without a placement. */
async function run(image, placement, started, decoded) {
  const tensor = detector.prepare(image);
  const prepared = performance.now();
  const results = await detector.run(tensor);
  const inferred = performance.now();
  const fractions = fromOutputs(detector.outputs(results), classCount);
  const found = placement ? toImage(fractions, placement) : fractions;
  tensor.delete();
  const finished = performance.now();
  const times = {
    decode: nanoseconds(started, decoded),
    preprocess: nanoseconds(decoded, prepared),
    infer: nanoseconds(prepared, inferred),
    postprocess: nanoseconds(inferred, finished),
  };
  const { height, width } = placement?.image ?? { height: 1, width: 1 };
  return { height, width, ...found, times, problem: "" };
}

function nanoseconds(from, to) {
  return Math.round((to - from) * 1e6);
}
