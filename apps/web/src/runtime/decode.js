// A picture file to pixels, by the browser's own decoder.

import { plainPicture } from "../core/image_file.js";
import { turned } from "../core/orientation.js";

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false, colorSpace: "srgb" });

/**
 * @param {Uint8Array} file JPEG or PNG
 * @param {boolean} applyOrientation turn the picture as its EXIF tag says
 * @returns {Promise<{pixels: Uint8ClampedArray, height: number, width: number}>} 4 channels, the last is to be ignored
 * @throws {Error} it cannot be decoded
 */
export async function decode(file, applyOrientation) {
  const { parts, orientation } = plainPicture(file);
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob(parts), { colorSpaceConversion: "none" });
  } catch {
    throw new Error("the browser cannot decode it");
  }
  const picture = pixelsOf(bitmap);
  return applyOrientation ? turned(picture, orientation) : picture;
}

/** The pixels of a bitmap, which is closed. */
export function pixelsOf(bitmap) {
  const { height, width } = bitmap;
  [canvas.width, canvas.height] = [width, height];
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { pixels: context.getImageData(0, 0, width, height).data, height, width };
}
