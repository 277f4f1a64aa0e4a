// A model file in its own worker, as seen from the page.

const WORKER = "engine.worker.js";

/** Runs one model file. For correct times, wait for each call before the next. */
export class Engine {
  #worker;
  #waiting = new Map();
  #last = 0;
  #ended = ""; // the reason

  /** @param {string | URL} [assets] where the folder with `src` is served, if not beside this module */
  constructor(assets) {
    const folder = assets ? new URL("src/runtime/", new URL(assets, globalThis.document?.baseURI ?? location.href)) : import.meta.url;
    this.#worker = new Worker(new URL(WORKER, folder));
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => this.#fail(event.message || `the worker that runs the model cannot be started: ${WORKER} cannot be loaded from ${new URL(".", folder)}`);
  }

  /**
   * Load a file.
   *
   * @param {Uint8Array} content content of the .tflite file
   * @param {{threads: number, isolated: boolean, spec: object, accelerator?: string, assets?: string | URL}} options spec is that
   *   of the bundle; the accelerator is `wasm` or `webgpu`; assets: see the constructor
   * @returns {Promise<Engine>}
   * @throws {Error} the runtime cannot run it
   */
  static async load(content, { assets, ...options }) {
    const engine = new Engine(assets);
    try {
      const loaded = await engine.call("load", { content, ...options });
      return Object.assign(engine, loaded);
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** Call a function of calls.js. */
  call(name, args = {}, transfer = []) {
    if (this.#ended) return Promise.reject(new Error(this.#ended));
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, name, args }, transfer);
    });
  }

  /** Terminate the worker; its memory is freed at once, and pending calls fail. */
  close() {
    this.#worker.terminate();
    this.#fail("the session was closed");
  }

  #receive({ id, value, error }) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) resolve(value);
    else reject(new Error(error));
  }

  #fail(reason) {
    this.#ended ||= reason;
    for (const { reject } of this.#waiting.values()) reject(new Error(reason));
    this.#waiting.clear();
  }
}
