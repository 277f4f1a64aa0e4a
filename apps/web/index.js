// The package @mobiledet/web: what other pages import. index.d.ts describes it.

export { Counter } from "./src/core/counting.js";
export { Tracker } from "./src/core/tracker.js";
export { Detector } from "./src/runtime/detector.js";
export { drawDetections } from "./src/ui/draw.js";
