// A .tflite detector in LiteRT.js, inside a worker. Each worker has its own runtime, like a fresh process.

import { Tensor, getGlobalLiteRt, loadAndCompile, loadLiteRt } from "../../vendor/litert/core.js";
import { OUTPUTS } from "../core/detections.js";

// LiteRT also writes information to the error output, such as its delegates, and that a browser has no NPU
const NOISE = /^\s*(INFO|VERBOSE)\b|NPU accelerator could not be loaded/;
const WASM = new URL("../../vendor/litert/wasm/", import.meta.url).href;

/**
 * Start the runtime.
 *
 * @param {{threads: boolean}} options threads are available only if the page is isolated from other origins
 */
export async function startRuntime({ threads }) {
  const script = `${WASM}litert_wasm_threaded_internal.js`;
  // in a worker, the loader would search beside the worker's own script
  const printErr = (text) => (NOISE.test(text) ? console.debug(text) : console.error(text));
  self.Module = { locateFile: (name) => WASM + name, printErr, ...(threads && { mainScriptUrlOrBlob: script }) };
  await loadLiteRt(WASM, { threads });
}

/** Memory of the runtime in bytes, including its models. */
export function runtimeMemory() {
  return getGlobalLiteRt().liteRtWasm.HEAPU8.byteLength;
}

/** A detector whose file takes one raw RGB image and returns boxes, classes, scores and count. */
export class LiteRtDetector {
  /**
   * @param {Uint8Array} content content of the file
   * @param {number} threads at least 1
   */
  static async load(content, threads) {
    const model = await loadAndCompile(content, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
    try {
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
  }

  /** Make a tensor from an image of the model's size, height x width x 3 levels of RGB; `delete()` it afterwards. */
  prepare(image) {
    return new Tensor(image instanceof this.arrayType ? image : new this.arrayType(image), [...this.input.shape]);
  }

  /** Run the file; pass the results to `outputs`. */
  run(tensor) {
    return this.signature.run({ [this.input.name]: tensor });
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
