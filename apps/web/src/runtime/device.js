// Describes this device and this browser.

import { Engine } from "./engine.js";

const RUNTIME = "litert-wasm";
const CLOCK_PROBES = 40;

/** The number of threads that a page may use: more than one only if it is isolated from other origins. */
export function availableThreads() {
  return crossOriginIsolated ? navigator.hardwareConcurrency || 1 : 1;
}

/** Load a model file; see Engine.load. */
export function loadEngine(content, options) {
  return Engine.load(content, { ...options, isolated: crossOriginIsolated });
}

/**
 * The device as the agent protocol describes it.
 *
 * @param {string} runtimeVersion version of LiteRT.js
 * @returns {Promise<object>} DeviceInfo
 */
export async function describeDevice(runtimeVersion) {
  const hints = await navigator.userAgentData?.getHighEntropyValues(["model", "platformVersion", "architecture", "fullVersionList"]);
  const variant = crossOriginIsolated ? "threads" : "one thread";
  return {
    name: "browser",
    model: hints?.model || modelOf(navigator.userAgent),
    os: `${browserOf(hints) || navigator.userAgent}${hints ? ` on ${hints.platform} ${hints.platformVersion}` : ""}`,
    cpu: hints?.architecture || "not reported by the browser",
    cores: availableThreads(),
    runtime: RUNTIME,
    runtime_version: `LiteRT.js ${runtimeVersion}, ${variant}, clock of ${clockStepUs()} us`,
  };
}

function browserOf(hints) {
  const brands = hints?.fullVersionList?.filter(({ brand }) => !/not.?a.?brand/i.test(brand)) ?? [];
  return brands.map(({ brand, version }) => `${brand} ${version}`).join(", ");
}

function modelOf(userAgent) {
  return /\(([^)]*)\)/.exec(userAgent)?.[1] ?? "not reported by the browser";
}

/** The resolution of performance.now in microseconds: browsers reduce it. */
function clockStepUs() {
  let smallest = Infinity;
  for (let i = 0; i < CLOCK_PROBES; i++) {
    const before = performance.now();
    let after = before;
    while (after === before) after = performance.now();
    smallest = Math.min(smallest, after - before);
  }
  return Math.round(1000 * smallest);
}
