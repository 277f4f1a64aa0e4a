// SHA256SUMS, in the format of coreutils: one line for each file of a bundle except itself. See mobiledet/files/checksums.py.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

export const SUMS = "SHA256SUMS";
// no control character in a path, which also excludes Windows line ends
const LINE = /^([0-9a-f]{64})  ([^\u0000-\u001f\u007f]+)$/u;

/** Checksum in lower-case hex. `crypto.subtle` is not available to pages on plain http. */
export function checksum(bytes) {
  return bytesToHex(sha256(bytes));
}

/**
 * @param {Uint8Array} content content of SHA256SUMS
 * @returns {Map<string, string>} checksum of each path
 * @throws {Error} a line is malformed, or a path is listed twice
 */
export function parseChecksums(content) {
  const lines = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content).split("\n");
  if (lines.pop()) throw new Error(`the last line of ${SUMS} is incomplete; copy the bundle again`);
  const checksums = new Map();
  for (const [index, line] of lines.entries()) {
    const found = LINE.exec(line);
    if (!found) throw new Error(`line ${index + 1} of ${SUMS} is not a checksum and a path; copy the bundle again`);
    const [, sum, path] = found;
    if (path === SUMS || checksums.has(path)) throw new Error(`${SUMS} lists ${path} twice, or itself; export the bundle again`);
    checksums.set(path, sum);
  }
  return checksums;
}
