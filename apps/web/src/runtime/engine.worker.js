// A classic worker, because LiteRT.js loads its runtime with importScripts, which module workers do not have.
const calls = import("./calls.js");

self.onmessage = async ({ data: { id, name, args } }) => {
  try {
    const value = await (await calls)[name](args);
    self.postMessage({ id, value });
  } catch (error) {
    self.postMessage({ id, error: error?.message ?? String(error) });
  }
};
