// Decodes image files with the browser's own decoder.

import { plainImage } from "../core/image_file.js";
import { turned } from "../core/orientation.js";

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false, colorSpace: "srgb" });

/**
 * @param {Uint8Array} file JPEG or PNG
 * @param {boolean} applyOrientation turn the image by its EXIF orientation
 * @returns {Promise<{pixels: Uint8ClampedArray, height: number, width: number}>} 4 channels; ignore the last one
 * @throws {Error} it cannot be decoded
 */
export async function decode(file, applyOrientation) {
  const { parts, orientation } = plainImage(file);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob(parts), { colorSpaceConversion: "none" });
  } catch {
    throw new Error("the browser cannot decode it");
  }
  const image = pixelsOf(bitmap);
  return applyOrientation ? turned(image, orientation) : image;
}

/** Get the pixels of a bitmap and close it. */
export function pixelsOf(bitmap) {
  const { height, width } = bitmap;
  // a new size clears the canvas, and costs a frame of the camera more than clearing it
  if (canvas.width === width && canvas.height === height) context.clearRect(0, 0, width, height);
  else [canvas.width, canvas.height] = [width, height];
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { pixels: context.getImageData(0, 0, width, height).data, height, width };
}
