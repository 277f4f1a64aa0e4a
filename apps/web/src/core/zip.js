// Unpacks untrusted zip files; the directory is checked before anything is unpacked.

import { BlobReader, Uint8ArrayWriter, ZipReader, configure } from "@zip.js/zip.js";

configure({ useWebWorkers: false });

const UNIX_LINK = 0o120000;
const UNIX_KIND = 0o170000;

/**
 * @param {Uint8Array} archive
 * @param {number} limitBytes limit for the unpacked size
 * @returns {Promise<Map<string, Uint8Array>>} files by path, with forward slashes
 * @throws {Error} it is not a zip, or contains a path outside it, a link, an encrypted file, or too many bytes
 */
export async function unzip(archive, limitBytes) {
  // names are checked below, with our own messages
  const options = { strictness: "strict", filenameValidation: "tolerant" };
  const reader = new ZipReader(new BlobReader(new Blob([archive])), options);
  try {
    const entries = await reader.getEntries();
    const declared = entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    if (declared > limitBytes) throw new Error(`the bundle unpacks to ${declared} bytes; the limit is ${limitBytes}`);
    entries.forEach(refuseUnsafe);
    const files = new Map();
    for (const entry of entries.filter((entry) => !entry.directory)) {
      files.set(entry.filename, await entry.getData(new Uint8ArrayWriter(), { checkSignature: true }));
    }
    return files;
  } finally {
    await reader.close();
  }
}

function refuseUnsafe(entry) {
  const name = entry.filename;
  requireInside(name);
  if (((entry.externalFileAttributes >>> 16) & UNIX_KIND) === UNIX_LINK) {
    throw new Error(`the bundle contains a symbolic link, '${name}'`);
  }
  if (entry.encrypted) throw new Error(`${name} is encrypted`);
}

/** Refuse a path outside the bundle. */
export function requireInside(path) {
  if (!path || path.startsWith("/") || path.includes("\\") || path.split("/").includes("..")) {
    throw new Error(`file name '${path}' points outside the bundle; do not use this bundle`);
  }
}
