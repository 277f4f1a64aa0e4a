// The position of an image in a model's input, and the conversion of boxes; the rules of mobiledet/placement.py.

/**
 * The part of the input that shows an image: all of it, or in a letterbox the largest part with the image's aspect ratio,
 * sides rounded to whole pixels, halves up.
 *
 * @param {number} height size of the image in pixels
 * @param {number} width
 * @param {{height: number, width: number, resize: string, placement: string}} input
 * @returns {{image: {height: number, width: number}, input: object, top: number, left: number, height: number,
 *   width: number}}
 */
export function placementOf(height, width, input) {
  const image = { height, width };
  if (input.resize !== "letterbox") return { image, input, top: 0, left: 0, height: input.height, width: input.width };
  const isWide = width * input.height >= height * input.width;
  const inside = isWide
    ? { height: Math.max(1, rounded(height * input.width, width)), width: input.width }
    : { height: input.height, width: Math.max(1, rounded(width * input.height, height)) };
  const margin = (whole, part) => (input.placement === "centre" ? Math.floor((whole - part) / 2) : 0);
  const [top, left] = [margin(input.height, inside.height), margin(input.width, inside.width)];
  return { image, input, top, left, ...inside };
}

/**
 * Convert boxes from fractions of the input to pixels of the image; they may extend beyond the image.
 *
 * @param {{boxes: number[][], scores: number[], labels: number[]}} found
 * @returns the detections with converted boxes, rounded to single precision
 */
export function toImage(found, { image, input, top, left, height, width }) {
  const scale = [(image.width * input.width) / width, (image.height * input.height) / height];
  const offset = [(image.width * left) / width, (image.height * top) / height];
  return withBoxes(found, (value, axis) => value * scale[axis] - offset[axis]);
}

/** The inverse of `toImage`. */
export function fromImage(found, { image, input, top, left, height, width }) {
  const scale = [width / image.width, height / image.height];
  const offset = [left, top];
  const whole = [input.width, input.height];
  return withBoxes(found, (value, axis) => (value * scale[axis] + offset[axis]) / whole[axis]);
}

/** Clip the result of `toImage` to the image of a letterbox; detections entirely in the padding are dropped. */
export function visible(found, { image, input }) {
  if (input.resize !== "letterbox") return found;
  const sides = [image.width, image.height];
  const clipped = withBoxes(found, (value, axis) => Math.min(Math.max(value, 0), sides[axis]));
  const kept = [...clipped.boxes.keys()].filter((row) => {
    const [x1, y1, x2, y2] = clipped.boxes[row];
    return x2 > x1 && y2 > y1;
  });
  const rows = Object.fromEntries(["boxes", "scores", "labels"].map((name) => [name, kept.map((row) => clipped[name][row])]));
  return { ...clipped, ...rows };
}

function withBoxes(found, change) {
  return { ...found, boxes: found.boxes.map((box) => box.map((value, i) => Math.fround(change(value, i % 2)))) };
}

/** The quotient of two integers rounded, halves up. */
function rounded(dividend, divisor) {
  return Math.floor((2 * dividend + divisor) / (2 * divisor));
}
