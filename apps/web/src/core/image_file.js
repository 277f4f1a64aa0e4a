// Removes metadata from JPEG and PNG files before a browser decodes them.
//
// Browsers turn an image by its EXIF orientation and convert its colours by its profile, each in its own way, and decode
// truncated files partly. COCO and the host's decoder do none of this.

const JPEG_START = [0xff, 0xd8];
const PNG_START = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const START_OF_SCAN = 0xda;
const METADATA_SEGMENTS = [0xe1, 0xe2]; // APP1: EXIF and XMP; APP2: colour profile
const EXIF_HEADER = "Exif\0\0";
const COLOUR_CHUNKS = ["iCCP", "gAMA", "cHRM", "sRGB", "cICP", "mDCV", "cLLI", "eXIf"];
const ORIENTATION_TAG = 0x0112;

/**
 * Remove metadata that changes the pixels after decoding.
 *
 * @param {Uint8Array} file
 * @returns {{parts: Uint8Array[], orientation: number}} the file's remaining bytes, in order; its EXIF
 *   orientation 1..8
 * @throws {Error} it is not a JPEG or PNG file, or is truncated
 */
export function plainImage(file) {
  if (startsWith(file, JPEG_START)) return plainJpeg(file);
  if (startsWith(file, PNG_START)) return plainPng(file);
  throw new Error("it is not an image of a known format");
}

/** Whether `plainImage` knows the format. */
export function isKnownFormat(file) {
  return startsWith(file, JPEG_START) || startsWith(file, PNG_START);
}

function plainJpeg(file) {
  const view = viewOf(file);
  const parts = [file.subarray(0, 2)];
  let orientation = 1;
  let at = 2;
  while (at + 4 <= file.length) {
    if (file[at] !== 0xff) throw new Error("broken jpeg: a marker is missing");
    const marker = file[at + 1];
    if (marker === 0xff) {
      at++; // a fill byte
      continue;
    }
    if (marker === START_OF_SCAN) {
      if (!hasJpegEnd(file, at)) break;
      parts.push(file.subarray(at));
      return { parts, orientation };
    }
    const end = at + 2 + view.getUint16(at + 2);
    if (end > file.length) break;
    if (marker === METADATA_SEGMENTS[0] && text(file, at + 4, EXIF_HEADER.length) === EXIF_HEADER) {
      orientation = orientationOf(file.subarray(at + 4 + EXIF_HEADER.length, end));
    }
    if (!METADATA_SEGMENTS.includes(marker)) parts.push(file.subarray(at, end));
    at = end;
  }
  throw new Error("image file is truncated");
}

function hasJpegEnd(file, from) {
  for (let at = file.length - 2; at >= from; at--) {
    if (file[at] === 0xff && file[at + 1] === 0xd9) return true;
  }
  return false;
}

function plainPng(file) {
  const view = viewOf(file);
  const parts = [file.subarray(0, PNG_START.length)];
  let orientation = 1;
  let at = PNG_START.length;
  while (at + 12 <= file.length) {
    const kind = text(file, at + 4, 4);
    const end = at + 12 + view.getUint32(at);
    if (end > file.length) break;
    if (kind === "eXIf") orientation = orientationOf(file.subarray(at + 8, end - 4));
    if (!COLOUR_CHUNKS.includes(kind)) parts.push(file.subarray(at, end));
    if (kind === "IEND") return { parts, orientation };
    at = end;
  }
  throw new Error("image file is truncated");
}

/** The orientation in a TIFF structure; 1 if there is none or it cannot be read. */
function orientationOf(tiff) {
  if (tiff.length < 8) return 1;
  const view = viewOf(tiff);
  const order = text(tiff, 0, 2);
  if (!["II", "MM"].includes(order)) return 1;
  const little = order === "II";
  const directory = view.getUint32(4, little);
  if (directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.length) return 1;
    if (view.getUint16(entry, little) === ORIENTATION_TAG) {
      const value = view.getUint16(entry + 8, little);
      return value >= 1 && value <= 8 ? value : 1;
    }
  }
  return 1;
}

function startsWith(bytes, start) {
  return start.every((byte, i) => bytes[i] === byte);
}

function text(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
