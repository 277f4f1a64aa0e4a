// Boxes on a picture.

const HUE_STEP = 137.508; // the golden angle: neighbours in the list of classes look different
const LINE = 2.5; // CSS pixels
const FONT = 14;

/** The colour of a class. */
export function colourOf(label) {
  return `hsl(${(label * HUE_STEP + 210) % 360} 85% 45%)`;
}

/**
 * Draw a picture and the boxes in it.
 *
 * @param {HTMLCanvasElement} canvas gets the size of the picture
 * @param {ImageBitmap | HTMLVideoElement} picture
 * @param {{height: number, width: number}} size of the picture, in whose pixels the boxes are
 * @param {{boxes: number[][], scores: number[], labels: number[]}} found
 * @param {string[]} names of the classes
 */
export function draw(canvas, picture, size, found, names) {
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  canvas.hidden = false;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, size.width, size.height);
  const scale = size.width / (canvas.clientWidth || size.width); // pixels of the picture for one of the page
  // the best box last, on top
  for (let i = found.scores.length - 1; i >= 0; i--) {
    drawBox(context, found.boxes[i], `${names[found.labels[i]]} ${found.scores[i].toFixed(2)}`, colourOf(found.labels[i]), scale);
  }
}

function drawBox(context, [left, top, right, bottom], text, colour, scale) {
  context.lineWidth = LINE * scale;
  context.strokeStyle = colour;
  context.strokeRect(left, top, right - left, bottom - top);
  context.font = `600 ${FONT * scale}px system-ui, sans-serif`;
  context.textBaseline = "top";
  const height = FONT * 1.4 * scale;
  const width = context.measureText(text).width + 8 * scale;
  const x = Math.max(0, Math.min(left, context.canvas.width - width));
  const y = top >= height ? top - height : top;
  context.fillStyle = colour;
  context.fillRect(x, y, width, height);
  context.fillStyle = "white";
  context.fillText(text, x + 4 * scale, y + height * 0.16);
}
