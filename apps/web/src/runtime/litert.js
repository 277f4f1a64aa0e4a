// A .tflite detector in LiteRT.js, inside a worker. Each worker has its own runtime, like a fresh process.

import { Environment, Tensor, getGlobalLiteRt, loadAndCompile, loadLiteRt, supportsFeature } from "../../vendor/litert/core.js";
import { OUTPUTS } from "../core/detections.js";
import { requireWebGpu } from "./webgpu.js";

// LiteRT also writes information to the error output, such as its delegates, and that a browser has no NPU
const NOISE = /^\s*(INFO|VERBOSE)\b|NPU accelerator could not be loaded/;
// the list of operations that WebGPU does not support, and its last line
const UNSUPPORTED = /not supported by GPU delegate:|^\s*[A-Z0-9_]+: |will run on the CPU/;
const NONE_ON_GPU = /\bNo operations will run on the GPU/i;
const WASM = new URL("../../vendor/litert/wasm/", import.meta.url).href;

let gpuRunsNothing = false;

/**
 * Start the runtime.
 *
 * @param {{threads: boolean, accelerator: string}} options threads are available only if the page is isolated from other origins.
 *   With `webgpu` there is one; if the browser has JSPI, operations that WebGPU does not support run in WebAssembly.
 * @throws {Error} this browser has no WebGPU
 */
export async function startRuntime({ threads, accelerator }) {
  const gpu = accelerator === "webgpu";
  if (gpu) await requireWebGpu();
  const variant = gpu ? { jspi: (await supportsFeature("jspi")) && (await supportsFeature("relaxedSimd")) } : { threads };
  const script = `${WASM}litert_wasm_threaded_internal.js`;
  const printErr = (text) => {
    if (gpu && NONE_ON_GPU.test(text)) gpuRunsNothing = true;
    const isNoise = NOISE.test(text) || (gpu && UNSUPPORTED.test(text));
    (isNoise ? console.debug : console.error)(text);
  };
  // in a worker, the loader would search beside the worker's own script
  self.Module = { locateFile: (name) => WASM + name, printErr, ...(variant.threads && { mainScriptUrlOrBlob: script }) };
  const runtime = await loadLiteRt(WASM, variant);
  if (gpu) runtime.setDefaultEnvironment(await Environment.create());
}

/** Memory of the runtime in bytes, including its models. */
export function runtimeMemory() {
  return getGlobalLiteRt().liteRtWasm.HEAPU8.byteLength;
}

/** A detector whose file takes one raw RGB image and returns boxes, classes, scores and count. */
export class LiteRtDetector {
  /**
   * @param {Uint8Array} content content of the file
   * @param {number} threads at least 1; on the CPU
   * @param {string} accelerator `wasm` or `webgpu`
   * @throws {Error} it is not a detector, or the accelerator does not run it
   */
  static async load(content, threads, accelerator) {
    const model = await loadAndCompile(content, { accelerator, cpuOptions: { numThreads: threads } });
    try {
      // LiteRT.js falls back to the CPU if WebGPU cannot run all of a file in a browser without JSPI, or nothing of it
      if (model.options.accelerator !== accelerator || gpuRunsNothing) {
        throw new Error("WebGPU does not run this file here; use the CPU (WebAssembly) instead");
      }
      return new LiteRtDetector(model);
    } catch (error) {
      model.delete();
      throw error;
    }
  }

  constructor(model) {
    this.model = model;
    this.signature = Object.values(model.signatures).find((candidate) => {
      const names = candidate.getOutputDetails().map((output) => output.name);
      return OUTPUTS.every((name) => names.includes(name));
    });
    if (!this.signature) {
      throw new Error(`it is not a mobiledet detector: no signature has the outputs ${OUTPUTS.join(", ")}`);
    }
    const inputs = this.signature.getInputDetails();
    const [input] = inputs;
    const shape = [...input.shape];
    if (inputs.length !== 1 || shape.length !== 4 || shape[0] !== 1 || shape[3] !== 3 || Math.min(...shape) < 1) {
      throw new Error(`its input is ${shape.join(" x ")}, not 1 x height x width x 3; export it again`);
    }
    if (!["float32", "uint8"].includes(input.dtype)) throw new Error(`its input is ${input.dtype}; export it again`);
    this.input = input;
    this.arrayType = input.dtype === "uint8" ? Uint8Array : Float32Array;
    [, this.height, this.width] = shape;
    this.onGpu = model.options.accelerator === "webgpu";
    this.delegatedShare = this.onGpu && model.isFullyAccelerated ? 1 : null;
  }

  /** Make a tensor from an image of the model's size, height x width x 3 levels of RGB; `delete()` it afterwards. */
  prepare(image) {
    return new Tensor(image instanceof this.arrayType ? image : new this.arrayType(image), [...this.input.shape]);
  }

  /** Run the file; pass the results to `outputs`. On a GPU this waits for them. */
  async run(tensor) {
    const results = await this.signature.run({ [this.input.name]: tensor });
    if (!this.onGpu) return results;
    const moved = Object.entries(results).map(async ([name, result]) => [name, result.accelerator === "webgpu" ? await result.moveTo("wasm") : result]);
    return Object.fromEntries(await Promise.all(moved));
  }

  /** The four outputs by name, as flat arrays. */
  outputs(results) {
    const values = {};
    for (const [name, tensor] of Object.entries(results)) {
      if (OUTPUTS.includes(name)) values[name] = tensor.toTypedArray();
      tensor.delete();
    }
    return values;
  }
}
