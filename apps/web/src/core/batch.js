// A batch of images on the wire: each is four bytes of length, highest first, and the bytes of its file.

const LENGTH_BYTES = 4;

/**
 * @param {Uint8Array} body
 * @returns {Uint8Array[]}
 * @throws {Error} it does not add up, or holds no image
 */
export function splitBatch(body) {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const images = [];
  let start = 0;
  while (start < body.length) {
    const begin = start + LENGTH_BYTES;
    const end = begin <= body.length ? begin + view.getUint32(start) : Infinity;
    if (end > body.length) throw new Error(`image ${images.length} of the batch ends behind the end of the body`);
    images.push(body.subarray(begin, end));
    start = end;
  }
  if (!images.length) throw new Error("the batch holds no image");
  return images;
}
