// A batch of images in a request body: each file is preceded by its length in four bytes, big-endian.

const LENGTH_BYTES = 4;

/**
 * @param {Uint8Array} body
 * @returns {Uint8Array[]}
 * @throws {Error} it is malformed, or contains no image
 */
export function splitBatch(body) {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const images = [];
  let start = 0;
  while (start < body.length) {
    const begin = start + LENGTH_BYTES;
    const end = begin <= body.length ? begin + view.getUint32(start) : Infinity;
    if (end > body.length) throw new Error(`image ${images.length} of the batch extends beyond the end of the body`);
    images.push(body.subarray(begin, end));
    start = end;
  }
  if (!images.length) throw new Error("the batch holds no image");
  return images;
}
