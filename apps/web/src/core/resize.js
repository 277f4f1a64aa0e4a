// Resizes an image to the model's input; equal to the host's result to the bit.

import { placementOf } from "./placement.js";
import { roundHalfToEven } from "./rounding.js";
import { PADDINGS } from "./spec.js";

const WEIGHT_BITS = 11;

/**
 * Resize an image to the input of a model, stretched or in a letterbox.
 *
 * Each side is first reduced by the largest power of two that leaves at least the model's size: a pixel is the mean of its
 * block, halves rounded up; if the last block is incomplete, the last row or column is repeated. The result is then
 * resized bilinearly, with pixel centres at half, in the arithmetic of cv2.INTER_LINEAR for 8 bits: weights of 11 bits,
 * rounded half to even, the vertical sum with 4 bits less. Sampling "bilinear" skips the first step. For a letterbox the
 * target size is the part of the input that shows the image.
 *
 * @param {{pixels: Uint8Array | Uint8ClampedArray, height: number, width: number, channels: number}} image
 *   height x width x channels (3 or 4), row by row; the first three channels are RGB
 * @param {{height: number, width: number, resize: string, sampling: "mean" | "bilinear", padding: string,
 *   placement: string}} input input from `parseSpec`
 * @returns {Uint8Array} input.height x input.width x 3, RGB
 */
export function fit(image, input) {
  const part = placementOf(image.height, image.width, input);
  const averages = input.sampling === "mean";
  const rows = averages ? blockSize(image.height, part.height) : 1;
  const columns = averages ? blockSize(image.width, part.width) : 1;
  return padded(bilinear(blockMeans(image, rows, columns), image.height / rows, image.width / columns, part), part);
}

/** Add the padding of a letterbox around the image. */
function padded(shown, { input, top, left, height, width }) {
  if (height === input.height && width === input.width) return shown;
  const whole = new Uint8Array(input.height * input.width * 3).fill(PADDINGS[input.padding]);
  for (let y = 0; y < height; y++) {
    whole.set(shown.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * input.width + left) * 3);
  }
  return whole;
}

/** The largest power of two by which a side can be reduced to at least `target` pixels. */
function blockSize(source, target) {
  let size = 1;
  while (Math.floor(source / (2 * size)) >= target) size *= 2;
  return size;
}

function blockMeans(image, rows, columns) {
  if (rows === 1 && columns === 1) return image;
  const { pixels, channels } = image;
  const height = Math.ceil(image.height / rows);
  const width = Math.ceil(image.width / columns);
  const missing = width * columns - image.width;
  const shift = Math.log2(rows * columns);
  const sums = new Uint32Array(width * 3);
  const out = new Uint8Array(height * sums.length);
  for (let y = 0; y < height; y++) {
    sums.fill((rows * columns) >> 1);
    for (let row = y * rows; row < (y + 1) * rows; row++) {
      let from = Math.min(row, image.height - 1) * image.width * channels;
      for (let x = 0; x < image.width; x++, from += channels) {
        const block = Math.floor(x / columns) * 3;
        sums[block] += pixels[from];
        sums[block + 1] += pixels[from + 1];
        sums[block + 2] += pixels[from + 2];
      }
      for (let i = 0; i < 3; i++) sums[sums.length - 3 + i] += missing * pixels[from - channels + i];
    }
    for (let i = 0, to = y * sums.length; i < sums.length; i++) out[to++] = sums[i] >>> shift;
  }
  return { pixels: out, height, width, channels: 3 };
}

/** realHeight and realWidth are the size of the content, which may end within the last row or column. */
function bilinear({ pixels, height, width, channels }, realHeight, realWidth, { height: toHeight, width: toWidth }) {
  const out = new Uint8Array(toHeight * toWidth * 3);
  if (realHeight === toHeight && realWidth === toWidth) {
    for (let from = 0, to = 0; to < out.length; from += channels) {
      out[to++] = pixels[from];
      out[to++] = pixels[from + 1];
      out[to++] = pixels[from + 2];
    }
    return out;
  }
  const columns = taps(width, realWidth, toWidth, true);
  const rows = taps(height, realHeight, toHeight, false);
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

/** Rows of the source, resized to the new width; the latest two are cached, because neighbours are used repeatedly. */
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
    // rows are requested in ascending order, so the lower one is not needed again
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

/** For each position in the result: its two neighbours in the source and their weights, whose sum is 2 ** 11. */
function taps(from, realFrom, to, clampWeights) {
  const scale = 1 / (to / realFrom);
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
