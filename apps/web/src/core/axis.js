// How one side of an upright picture becomes a side of the model's input: tables of the preprocessor.

import { roundHalfToEven } from "./rounding.js";

export const WEIGHT_BITS = 11;

/**
 * For each position in the result: its two neighbours among the blocks of the side, and their weights, whose sum is
 * 2 ** 11. `samples` are the positions in the image of `block` pixels for each of the `blocks` that are used.
 *
 * @param {{start: number, length: number, reversed: boolean, step: number}} side pixels of the image along this side: where
 *   they start, and the bytes from one to the next
 * @param {number} target pixels of the result
 * @param {boolean} averages reduce the side by blocks first: the largest power of two that leaves at least `target`
 * @param {boolean} clampsWeights use the nearest pixel beyond the ends; OpenCV does so along rows only, and repeats the
 *   outermost rows
 */
export function axisOf(side, target, averages, clampsWeights) {
  const block = averages ? blockSize(side.length, target) : 1;
  const all = Math.ceil(side.length / block);
  const { indices, weights } = taps(all, side.length / block, target, clampsWeights);
  const used = [...new Set(indices)].sort((a, b) => a - b);
  const places = new Map(used.map((number, place) => [number, place]));
  const samples = new Int32Array(used.length * block);
  for (let i = 0; i < samples.length; i++) {
    // the last pixel is repeated to fill its block
    const upright = Math.min(used[Math.floor(i / block)] * block + (i % block), side.length - 1);
    samples[i] = (side.start + (side.reversed ? side.length - 1 - upright : upright)) * side.step;
  }
  return {
    block,
    blocks: used.length,
    isExact: side.length / block === target,
    samples,
    indices: indices.map((number) => places.get(number)),
    weights,
  };
}

/** The largest power of two by which a side can be reduced to at least `target` pixels. */
function blockSize(source, target) {
  let size = 1;
  while (Math.floor(source / (2 * size)) >= target) size *= 2;
  return size;
}

function taps(from, realFrom, to, clampsWeights) {
  const scale = 1 / (to / realFrom);
  const indices = new Int32Array(2 * to);
  const weights = new Int32Array(2 * to);
  for (let i = 0; i < to; i++) {
    const centre = Math.fround((i + 0.5) * scale - 0.5);
    let index = Math.floor(centre);
    let fraction = Math.fround(centre - index);
    if (clampsWeights && index < 0) [index, fraction] = [0, 0];
    if (clampsWeights && index >= from - 1) [index, fraction] = [from - 1, 0];
    weights[2 * i] = roundHalfToEven(Math.fround(1 - fraction) * 2 ** WEIGHT_BITS);
    weights[2 * i + 1] = roundHalfToEven(fraction * 2 ** WEIGHT_BITS);
    indices[2 * i] = Math.min(Math.max(index, 0), from - 1);
    // a block without weight is not read
    indices[2 * i + 1] = weights[2 * i + 1] ? Math.min(Math.max(index + 1, 0), from - 1) : indices[2 * i];
  }
  return { indices, weights };
}
