// Makes the model's input from an image or a camera frame in one pass; equal to the host's result to the bit.

import { WEIGHT_BITS, axisOf } from "./axis.js";
import { TURNS } from "./orientation.js";
import { placementOf } from "./placement.js";
import { PADDINGS } from "./spec.js";

/**
 * Makes the inputs of a model from images.
 *
 * The result is that of these steps: cut out the crop, turn it upright, resize it. Resizing first reduces each side by the
 * largest power of two that leaves at least the model's size: a pixel is the mean of its block, halves rounded up; if the last
 * block is incomplete, the last row or column is repeated. Sampling "bilinear" skips this. Then it interpolates bilinearly,
 * with pixel centres at half, in the arithmetic of cv2.INTER_LINEAR for 8 bits: weights of 11 bits, rounded half to even, the
 * vertical sum with 4 bits less. For a letterbox the target size is the part of the input that shows the picture.
 *
 * Tables and memory are made anew when size, crop or orientation of the images change; otherwise an image allocates nothing.
 */
export class Preprocessor {
  #input;
  #result;
  #geometry = []; // that the tables are for
  #rows;
  #columns;
  #means;
  #stretched = [new Int32Array(0), new Int32Array(0)]; // the latest two rows of the image in the width of the result
  #numbers = [-1, -1];

  /** The position of the last picture in the input, see `placementOf`. */
  placement;

  /**
   * @param {{height: number, width: number, resize: string, sampling: "mean" | "bilinear", padding: string,
   *   placement: string}} input input from `parseSpec`
   * @param {Uint8ArrayConstructor | Float32ArrayConstructor} type what the model takes
   */
  constructor(input, type = Uint8Array) {
    this.#input = input;
    this.#result = new type(input.height * input.width * 3);
  }

  /**
   * @param {{pixels: Uint8Array | Uint8ClampedArray, height: number, width: number, channels?: number}} image
   *   height x width x channels (4 by default, or 3), row by row; the first three channels are RGB
   * @param {number} orientation EXIF orientation that makes the image upright
   * @param {{left: number, top: number, height: number, width: number}} crop the picture, in pixels of the image as stored
   * @returns {Uint8Array | Float32Array} input.height x input.width x 3, RGB, in memory that the next call overwrites
   */
  prepare(image, orientation = 1, crop = null) {
    const { pixels, height, width, channels = 4 } = image;
    const left = crop ? crop.left : 0;
    const top = crop ? crop.top : 0;
    const cropWidth = crop ? crop.width : width;
    const cropHeight = crop ? crop.height : height;
    if (!this.#fits(height, width, channels, left, top, cropHeight, cropWidth, orientation)) {
      if (left < 0 || top < 0 || cropWidth < 1 || cropHeight < 1 || left + cropWidth > width || top + cropHeight > height) {
        throw new Error(`a crop of ${cropHeight} x ${cropWidth} at ${top}, ${left} is not in an image of ${height} x ${width}`);
      }
      this.#plan([height, width, channels, left, top, cropHeight, cropWidth, orientation]);
    }
    if (pixels.length < height * width * channels) {
      throw new Error(`${pixels.length} bytes are not an image of ${height} x ${width} x ${channels}`);
    }
    if (this.#rows.isExact && this.#columns.isExact) this.#copy(pixels);
    else this.#interpolate(pixels);
    return this.#result;
  }

  #fits(height, width, channels, left, top, cropHeight, cropWidth, orientation) {
    const known = this.#geometry;
    return (
      known[0] === height && known[1] === width && known[2] === channels && known[3] === left && known[4] === top &&
      known[5] === cropHeight && known[6] === cropWidth && known[7] === orientation
    );
  }

  #plan(geometry) {
    const [, width, channels, left, top, cropHeight, cropWidth, orientation] = geometry;
    const [swaps, mirrorsColumns, mirrorsRows] = TURNS[orientation] ?? [false, false, false];
    const across = { start: left, length: cropWidth, reversed: mirrorsColumns, step: channels };
    const down = { start: top, length: cropHeight, reversed: mirrorsRows, step: channels * width };
    const [horizontal, vertical] = swaps ? [down, across] : [across, down];
    const input = this.#input;
    this.placement = placementOf(vertical.length, horizontal.length, input);
    const averages = input.sampling === "mean";
    this.#rows = axisOf(vertical, this.placement.height, averages, false);
    this.#columns = axisOf(horizontal, this.placement.width, averages, true);
    this.#means = new Int32Array(this.#columns.blocks * 3);
    this.#stretched = this.#stretched.map(() => new Int32Array(this.placement.width * 3));
    this.#result.fill(PADDINGS[input.padding]);
    this.#geometry = geometry;
  }

  /** Position of a row of the picture in the result. */
  #start(y) {
    return ((this.placement.top + y) * this.#input.width + this.placement.left) * 3;
  }

  #copy(pixels) {
    const means = this.#means;
    const result = this.#result;
    for (let y = 0; y < this.placement.height; y++) {
      this.#read(pixels, y);
      for (let i = 0, to = this.#start(y); i < means.length; i++) result[to++] = means[i];
    }
  }

  #interpolate(pixels) {
    this.#numbers.fill(-1);
    const result = this.#result;
    const { indices, weights } = this.#rows;
    for (let y = 0; y < this.placement.height; y++) {
      const upper = this.#row(pixels, indices[2 * y]);
      const lower = this.#row(pixels, indices[2 * y + 1]);
      const upperWeight = weights[2 * y];
      const lowerWeight = weights[2 * y + 1];
      for (let i = 0, to = this.#start(y); i < upper.length; i++) {
        result[to++] = ((Math.imul(upperWeight, upper[i]) >> 16) + (Math.imul(lowerWeight, lower[i]) >> 16) + 2) >> 2;
      }
    }
  }

  /** A row of block means in the width of the result. */
  #row(pixels, number) {
    const slot = number & 1;
    if (this.#numbers[slot] !== number) {
      this.#numbers[slot] = number;
      this.#read(pixels, number);
      this.#stretch(this.#stretched[slot]);
    }
    return this.#stretched[slot];
  }

  /** Compute a row of block means, upright. */
  #read(pixels, row) {
    const means = this.#means;
    const { samples: rows, block: height } = this.#rows;
    const { samples: columns, block: width } = this.#columns;
    const [first, last] = [row * height, (row + 1) * height];
    const half = (height * width) >> 1;
    const shift = 31 - Math.clz32(height * width);
    for (let to = 0, column = 0; to < means.length; to += 3) {
      let red = half;
      let green = half;
      let blue = half;
      const end = column + width;
      for (; column < end; column++) {
        for (let above = first; above < last; above++) {
          const from = rows[above] + columns[column];
          red += pixels[from];
          green += pixels[from + 1];
          blue += pixels[from + 2];
        }
      }
      means[to] = red >> shift;
      means[to + 1] = green >> shift;
      means[to + 2] = blue >> shift;
    }
  }

  #stretch(row) {
    const means = this.#means;
    const { indices, weights, isExact } = this.#columns;
    if (isExact) {
      for (let i = 0; i < row.length; i++) row[i] = means[i] << (WEIGHT_BITS - 4);
      return;
    }
    // Math.imul tells the compiler that these are integers
    for (let i = 0, to = 0; to < row.length; i += 2, to += 3) {
      const a = indices[i] * 3;
      const b = indices[i + 1] * 3;
      const weightA = weights[i];
      const weightB = weights[i + 1];
      row[to] = (Math.imul(means[a], weightA) + Math.imul(means[b], weightB)) >> 4;
      row[to + 1] = (Math.imul(means[a + 1], weightA) + Math.imul(means[b + 1], weightB)) >> 4;
      row[to + 2] = (Math.imul(means[a + 2], weightA) + Math.imul(means[b + 2], weightB)) >> 4;
    }
  }
}
