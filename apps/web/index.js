// The package @mobiledet/web: what other pages import. index.d.ts describes it.

export { Counter } from "./src/core/counting.js";
export { ModelStore, updateModel } from "./src/core/model_store.js";
export { FramePacer } from "./src/core/pacer.js";
export { Tracker } from "./src/core/tracker.js";
export { Detector } from "./src/runtime/detector.js";
export { cacheStorage, webSource } from "./src/runtime/model_source.js";
export { drawDetections } from "./src/ui/draw.js";
