// Draws boxes on an image.

const HUE_STEP = 137.508; // the golden angle: neighbouring classes get different colours
const LINE = 2.5; // CSS pixels
const FONT = 14;

/** The colour of a class, dark enough for white text. */
export function colourOf(label) {
  return `hsl(${(label * HUE_STEP + 210) % 360} 90% 32%)`;
}

/**
 * Draw an image and the result of `Detector.detect`.
 *
 * @param {HTMLCanvasElement} canvas gets the aspect ratio of the image, and at least the resolution of the screen
 * @param {CanvasImageSource} image
 * @param {{label: string, categoryId: number, score: number, box: number[], id?: number}[]} detections
 */
export function drawDetections(canvas, image, detections) {
  const width = image.videoWidth ?? image.naturalWidth ?? image.displayWidth ?? image.width;
  const height = image.videoHeight ?? image.naturalHeight ?? image.displayHeight ?? image.height;
  const boxes = detections.map(({ label, categoryId, score, box, id }) => ({ box, text: captionOf(label, score, id), colour: colourOf(categoryId) }));
  draw(canvas, image, { height, width }, boxes);
}

/** What is written at a box: class, score, and the id if it is tracked. */
export function captionOf(name, score, id) {
  return `${id === undefined ? "" : `#${id} `}${name} ${score.toFixed(2)}`;
}

/**
 * Draw an image and boxes.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasImageSource} image
 * @param {{height: number, width: number}} size size of the image; boxes are in its pixels
 * @param {{box: number[], text: string, colour: string}[]} boxes the best one first
 */
export function draw(canvas, image, size, boxes) {
  canvas.hidden = false;
  canvas.style.setProperty("--ratio", size.width / size.height);
  const zoom = Math.max(1, (canvas.clientWidth * devicePixelRatio) / size.width);
  const [width, height] = [Math.round(size.width * zoom), Math.round(size.height * zoom)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(zoom, 0, 0, zoom, 0, 0);
  context.drawImage(image, 0, 0, size.width, size.height);
  const scale = size.width / (canvas.clientWidth || size.width); // pixels of the image per CSS pixel
  // the best box last, on top
  for (const { box, text, colour } of [...boxes].reverse()) drawBox(context, size, box, text, colour, scale);
}

function drawBox(context, size, [left, top, right, bottom], text, colour, scale) {
  // a light line beneath, visible on dark images
  for (const [style, line] of [["rgb(255 255 255 / 70%)", LINE + 2], [colour, LINE]]) {
    context.lineWidth = line * scale;
    context.strokeStyle = style;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.font = `600 ${FONT * scale}px system-ui, sans-serif`;
  context.textBaseline = "top";
  const height = FONT * 1.4 * scale;
  const width = context.measureText(text).width + 8 * scale;
  const x = Math.max(0, Math.min(left, size.width - width));
  const y = top >= height ? top - height : top;
  context.fillStyle = colour;
  context.fillRect(x, y, width, height);
  context.fillStyle = "white";
  context.fillText(text, x + 4 * scale, y + height * 0.16);
}
