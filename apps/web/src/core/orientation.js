// Pictures turned upright, as their EXIF orientation says.

// orientation -> does it swap the sides, does it mirror columns, does it mirror rows (of the stored picture)
const TURNS = {
  2: [false, true, false],
  3: [false, true, true],
  4: [false, false, true],
  5: [true, false, false],
  6: [true, false, true],
  7: [true, true, true],
  8: [true, true, false],
};

/**
 * @param {{pixels: Uint8Array | Uint8ClampedArray, height: number, width: number}} picture 4 channels
 * @param {number} orientation 1..8, of EXIF
 * @returns {{pixels: Uint8Array | Uint8ClampedArray, height: number, width: number}}
 */
export function turned(picture, orientation) {
  const turn = TURNS[orientation];
  if (!turn) return picture;
  const [swaps, mirrorsColumns, mirrorsRows] = turn;
  const [height, width] = swaps ? [picture.width, picture.height] : [picture.height, picture.width];
  const source = pixelsAsWords(picture.pixels);
  const target = new Uint32Array(source.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [row, column] = swaps ? [x, y] : [y, x];
      const fromRow = mirrorsRows ? picture.height - 1 - row : row;
      const fromColumn = mirrorsColumns ? picture.width - 1 - column : column;
      target[y * width + x] = source[fromRow * picture.width + fromColumn];
    }
  }
  return { pixels: new Uint8Array(target.buffer), height, width };
}

function pixelsAsWords(pixels) {
  return new Uint32Array(pixels.buffer, pixels.byteOffset, pixels.byteLength / 4);
}
