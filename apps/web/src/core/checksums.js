// SHA256SUMS, in the form of coreutils: a line for each file of a bundle but itself. See mobiledet/files/checksums.py.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

export const SUMS = "SHA256SUMS";
// no control character in a path, a line end of Windows among them
const LINE = /^([0-9a-f]{64})  ([^\u0000-\u001f\u007f]+)$/u;

/** Checksum in lower-case hex. `crypto.subtle` would not do: pages on plain http do not have it. */
export function checksum(bytes) {
  return bytesToHex(sha256(bytes));
}

/**
 * @param {Uint8Array} content of the list
 * @returns {Map<string, string>} checksum of each path
 * @throws {Error} a line is malformed, or a path comes twice
 */
export function parseChecksums(content) {
  const lines = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content).split("\n");
  if (lines.pop()) throw new Error(`the last line of ${SUMS} is cut off; copy the bundle again`);
  const checksums = new Map();
  for (const [index, line] of lines.entries()) {
    const found = LINE.exec(line);
    if (!found) throw new Error(`line ${index + 1} of ${SUMS} is no checksum and path; copy the bundle again`);
    const [, sum, path] = found;
    if (path === SUMS || checksums.has(path)) throw new Error(`${SUMS} lists ${path} twice, or itself; export the bundle again`);
    checksums.set(path, sum);
  }
  return checksums;
}
