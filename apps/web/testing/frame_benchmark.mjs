// Times one pass and the separate steps on camera frames, in turn: processor time; benchmarks/frames.py runs it.

import { turned } from "../src/core/orientation.js";
import { Preprocessor } from "../src/core/preprocessor.js";

const WARM_UP = 60;
const RUNS = 100;

/** A ramp with noise. */
function frame(height, width) {
  const pixels = new Uint8Array(height * width * 4);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (240 * ((i >> 2) % width)) / width + 9 * Math.random();
  return { pixels, height, width };
}

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Bytes of typed arrays; the most of some runs, because memory may be freed during one. */
function allocated(run) {
  const grown = [1, 2, 3, 4, 5].map(() => {
    const before = process.memoryUsage().arrayBuffers;
    run();
    return process.memoryUsage().arrayBuffers - before;
  });
  return Math.max(0, ...grown);
}

console.log("camera      turn input     rule       steps ms pass ms  ratio  steps bytes  pass bytes");
for (const [height, width, size] of [[480, 640, 320], [480, 640, 160], [720, 1280, 320]]) {
  for (const resize of ["stretch", "letterbox"]) {
    for (const orientation of [1, 6]) {
      const image = frame(height, width);
      const input = { height: size, width: size, resize, sampling: "mean", padding: "grey", placement: "centre" };
      const preprocessor = new Preprocessor(input, Float32Array);
      // as before: a model of float32 gets its values from bytes
      const steps = () => new Float32Array(new Preprocessor(input).prepare(turned(image, orientation)));
      const pass = () => preprocessor.prepare(image, orientation);
      if (Buffer.compare(Buffer.from(steps().buffer), Buffer.from(pass().buffer))) throw new Error("the results differ");
      for (let i = 0; i < WARM_UP; i++) [steps, pass].forEach((run) => run());
      const times = new Map([[steps, []], [pass, []]]);
      for (let i = 0; i < RUNS; i++) {
        for (const [run, list] of times) {
          const started = process.cpuUsage();
          run();
          const { user, system } = process.cpuUsage(started);
          list.push((user + system) / 1000);
        }
      }
      const [before, now] = [...times.values()].map(median);
      const columns = [
        `${width} x ${height}`.padEnd(11), String(orientation === 1 ? 0 : 90).padStart(4), `${size} x ${size}`.padEnd(9), resize.padEnd(10),
        before.toFixed(2).padStart(8), now.toFixed(2).padStart(7), (before / now).toFixed(1).padStart(6),
        String(allocated(steps)).padStart(12), String(allocated(pass)).padStart(11),
      ];
      console.log(columns.join(" "));
    }
  }
}
