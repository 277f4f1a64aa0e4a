// Turns images upright by their EXIF orientation.

/** EXIF orientation -> [swaps height and width, mirrors columns, mirrors rows] of the stored image. */
export const TURNS = {
  2: [false, true, false],
  3: [false, true, true],
  4: [false, false, true],
  5: [true, false, false],
  6: [true, false, true],
  7: [true, true, true],
  8: [true, true, false],
};

/**
 * @param {{pixels: Uint8Array | Uint8ClampedArray, height: number, width: number}} image 4 channels
 * @param {number} orientation EXIF orientation, 1..8
 * @returns {{pixels: Uint8Array | Uint8ClampedArray, height: number, width: number}}
 */
export function turned(image, orientation) {
  const turn = TURNS[orientation];
  if (!turn) return image;
  const [swaps, mirrorsColumns, mirrorsRows] = turn;
  const [height, width] = swaps ? [image.width, image.height] : [image.height, image.width];
  const source = pixelsAsWords(image.pixels);
  const target = new Uint32Array(source.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [row, column] = swaps ? [x, y] : [y, x];
      const fromRow = mirrorsRows ? image.height - 1 - row : row;
      const fromColumn = mirrorsColumns ? image.width - 1 - column : column;
      target[y * width + x] = source[fromRow * image.width + fromColumn];
    }
  }
  return { pixels: new Uint8Array(target.buffer), height, width };
}

function pixelsAsWords(pixels) {
  return new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.byteLength / 4);
}
