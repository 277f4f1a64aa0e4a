// Where a picture lies in a model's input, and its boxes with it; the rule of mobiledet/placement.py.

/**
 * The part of the input that shows a picture: all of it, or in a letterbox the largest of the picture's shape, sides
 * rounded to whole pixels, halves up.
 *
 * @param {number} height of the picture, pixels
 * @param {number} width
 * @param {{height: number, width: number, resize: string, placement: string}} input
 * @returns {{picture: {height: number, width: number}, input: object, top: number, left: number, height: number,
 *   width: number}}
 */
export function placementOf(height, width, input) {
  const picture = { height, width };
  if (input.resize !== "letterbox") return { picture, input, top: 0, left: 0, height: input.height, width: input.width };
  const isWide = width * input.height >= height * input.width;
  const inside = isWide
    ? { height: Math.max(1, rounded(height * input.width, width)), width: input.width }
    : { height: input.height, width: Math.max(1, rounded(width * input.height, height)) };
  const margin = (whole, part) => (input.placement === "centre" ? Math.floor((whole - part) / 2) : 0);
  const [top, left] = [margin(input.height, inside.height), margin(input.width, inside.width)];
  return { picture, input, top, left, ...inside };
}

/**
 * Boxes as fractions of the input to boxes in pixels of the picture, which may reach out of it.
 *
 * @param {{boxes: number[][], scores: number[], labels: number[]}} found
 * @returns the same with other boxes, rounded to single precision
 */
export function toPicture(found, { picture, input, top, left, height, width }) {
  const scale = [(picture.width * input.width) / width, (picture.height * input.height) / height];
  const offset = [(picture.width * left) / width, (picture.height * top) / height];
  return withBoxes(found, (value, axis) => value * scale[axis] - offset[axis]);
}

/** The inverse of `toPicture`. */
export function fromPicture(found, { picture, input, top, left, height, width }) {
  const scale = [width / picture.width, height / picture.height];
  const offset = [left, top];
  const whole = [input.width, input.height];
  return withBoxes(found, (value, axis) => (value * scale[axis] + offset[axis]) / whole[axis]);
}

/** What `toPicture` gave, cut to the picture of a letterbox; what lies in the padding alone is left out. */
export function visible(found, { picture, input }) {
  if (input.resize !== "letterbox") return found;
  const sides = [picture.width, picture.height];
  const cut = withBoxes(found, (value, axis) => Math.min(Math.max(value, 0), sides[axis]));
  const kept = [...cut.boxes.keys()].filter((row) => {
    const [x1, y1, x2, y2] = cut.boxes[row];
    return x2 > x1 && y2 > y1;
  });
  const rows = Object.fromEntries(["boxes", "scores", "labels"].map((name) => [name, kept.map((row) => cut[name][row])]));
  return { ...cut, ...rows };
}

function withBoxes(found, change) {
  return { ...found, boxes: found.boxes.map((box) => box.map((value, i) => Math.fround(change(value, i % 2)))) };
}

/** Of the quotient of two whole numbers, halves up. */
function rounded(dividend, divisor) {
  return Math.floor((2 * dividend + divisor) / (2 * divisor));
}
