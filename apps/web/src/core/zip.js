// A zip file from a stranger: nothing is unpacked before its list has been looked at.

import { BlobReader, Uint8ArrayWriter, ZipReader, configure } from "@zip.js/zip.js";

configure({ useWebWorkers: false });

const UNIX_LINK = 0o120000;
const UNIX_KIND = 0o170000;

/**
 * @param {Uint8Array} archive
 * @param {number} limitBytes of all files, unpacked
 * @returns {Promise<Map<string, Uint8Array>>} files by path, with forward slashes
 * @throws {Error} it is no zip, a path leads out of it, it holds a link or a locked file, or too much
 */
export async function unzip(archive, limitBytes) {
  // names are checked below, with the bundle's own words
  const options = { strictness: "strict", filenameValidation: "tolerant" };
  const reader = new ZipReader(new BlobReader(new Blob([archive])), options);
  try {
    const entries = await reader.getEntries();
    const declared = entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    if (declared > limitBytes) throw new Error(`the bundle unpacks to ${declared} bytes, ${limitBytes} are taken`);
    entries.forEach(refuseDangerous);
    const files = new Map();
    for (const entry of entries.filter((entry) => !entry.directory)) {
      files.set(entry.filename, await entry.getData(new Uint8ArrayWriter(), { checkSignature: true }));
    }
    return files;
  } finally {
    await reader.close();
  }
}

function refuseDangerous(entry) {
  const name = entry.filename;
  requireInside(name);
  if (((entry.externalFileAttributes >>> 16) & UNIX_KIND) === UNIX_LINK) {
    throw new Error(`the bundle holds a symbolic link, '${name}'`);
  }
  if (entry.encrypted) throw new Error(`${name} is locked with a password`);
}

/** Refuse a path that leads out of the bundle. */
export function requireInside(path) {
  if (!path || path.startsWith("/") || path.includes("\\") || path.split("/").includes("..")) {
    throw new Error(`file name '${path}' leads out of the bundle; do not use this bundle`);
  }
}
