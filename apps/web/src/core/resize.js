// The stretch of a picture to the model's input, equal to OpenCV's bilinear resize of bytes, which the host uses.

import { roundHalfToEven } from "./rounding.js";

const WEIGHT_BITS = 11;

/**
 * Stretch a picture, bilinear with pixel centres at half.
 *
 * The arithmetic is that of cv2.INTER_LINEAR on 8 bits: weights of 11 bits, rounded half to even, the vertical sum with
 * 4 bits less. So the input of the model is the same to the last bit wherever the picture is decoded alike.
 *
 * @param {Uint8Array | Uint8ClampedArray} pixels height x width x channels, row by row; the first three channels are RGB
 * @param {number} channels 3 or 4
 * @returns {Uint8Array} toHeight x toWidth x 3, RGB
 */
export function resize(pixels, height, width, channels, toHeight, toWidth) {
  const out = new Uint8Array(toHeight * toWidth * 3);
  if (height === toHeight && width === toWidth) {
    for (let from = 0, to = 0; to < out.length; from += channels) {
      out[to++] = pixels[from];
      out[to++] = pixels[from + 1];
      out[to++] = pixels[from + 2];
    }
    return out;
  }
  const columns = taps(width, toWidth, true);
  const rows = taps(height, toHeight, false);
  const stretched = new RowCache(pixels, width, channels, toWidth, columns);
  for (let y = 0, to = 0; y < toHeight; y++) {
    const weightA = rows.weights[2 * y];
    const weightB = rows.weights[2 * y + 1];
    const a = stretched.row(rows.indices[2 * y]);
    const b = stretched.row(rows.indices[2 * y + 1]);
    for (let i = 0; i < a.length; i++, to++) {
      out[to] = (((weightA * (a[i] >> 4)) >> 16) + ((weightB * (b[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return out;
}

/** Rows of the source, stretched to the new width; neighbours are asked for again and again, so two are kept. */
class RowCache {
  constructor(pixels, width, channels, toWidth, columns) {
    this.pixels = pixels;
    this.stride = width * channels;
    this.channels = channels;
    this.columns = columns;
    this.kept = [0, 1].map(() => ({ index: -1, values: new Int32Array(toWidth * 3) }));
  }

  row(index) {
    const found = this.kept.find((entry) => entry.index === index);
    if (found) return found.values;
    // rows come in rising order, so the lower one is not needed again
    const entry = this.kept[0].index < this.kept[1].index ? this.kept[0] : this.kept[1];
    entry.index = index;
    const { indices, weights } = this.columns;
    const start = index * this.stride;
    for (let i = 0, to = 0; to < entry.values.length; i += 2) {
      const a = start + indices[i] * this.channels;
      const b = start + indices[i + 1] * this.channels;
      for (let channel = 0; channel < 3; channel++) {
        entry.values[to++] = this.pixels[a + channel] * weights[i] + this.pixels[b + channel] * weights[i + 1];
      }
    }
    return entry.values;
  }
}

/** For each new position the two old ones that it lies between, and their weights, which add up to 2 ** 11. */
function taps(from, to, clampWeights) {
  const scale = 1 / (to / from);
  const indices = new Int32Array(2 * to);
  const weights = new Int32Array(2 * to);
  for (let i = 0; i < to; i++) {
    const centre = Math.fround((i + 0.5) * scale - 0.5);
    let index = Math.floor(centre);
    let fraction = Math.fround(centre - index);
    // OpenCV moves the weight to the border pixel along rows; along columns it repeats the border row instead
    if (clampWeights && index < 0) [index, fraction] = [0, 0];
    if (clampWeights && index >= from - 1) [index, fraction] = [from - 1, 0];
    indices[2 * i] = Math.min(Math.max(index, 0), from - 1);
    indices[2 * i + 1] = Math.min(Math.max(index + 1, 0), from - 1);
    weights[2 * i] = roundHalfToEven(Math.fround(1 - fraction) * 2 ** WEIGHT_BITS);
    weights[2 * i + 1] = roundHalfToEven(fraction * 2 ** WEIGHT_BITS);
  }
  return { indices, weights };
}
