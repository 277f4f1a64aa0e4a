// Whether this browser has WebGPU.

/** @throws {Error} it has not */
export async function requireWebGpu() {
  if (await navigator.gpu?.requestAdapter()) return;
  throw new Error("this browser offers no WebGPU here; use the CPU (WebAssembly) instead");
}
