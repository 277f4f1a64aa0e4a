// Verifies the signature file of a zipped bundle; mobiledet/signing/signature.py describes it.

const TEXT = new RegExp(
  "^(mobiledet-signature 1\nrelease (0|[1-9][0-9]{0,15})\nbytes ([1-9][0-9]{0,15})\nsha256 ([0-9a-f]{64})\n)" +
    "ecdsa-p256 ([A-Za-z0-9+/]{85}[AQgw]==)\n$",
);
// of every public key on P-256 in the form SubjectPublicKeyInfo, uncompressed: algorithm and curve
const SPKI_HEAD = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
const POINT_BYTES = 65;
const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SCHEME = { name: "ECDSA", hash: "SHA-256" };

/**
 * Verify a signature file.
 *
 * @param {Uint8Array} text its content
 * @param {string[]} publicKeys lines that `mobiledet sign --new-key` printed; a signature by any of them is accepted, so that
 *   a key can be replaced
 * @returns {Promise<{release: number, bytes: number, sha256: string}>} what it says about the zip
 * @throws {Error} it is malformed or not signed with one of the keys, or a key is malformed
 */
export async function verifySignature(text, publicKeys) {
  if (!globalThis.crypto?.subtle) throw new Error("signatures can be verified only on https or localhost");
  const keys = await Promise.all(publicKeys.map(publicKey));
  const match = TEXT.exec(String.fromCharCode(...text.subarray(0, 1025)));
  const [release, bytes] = match ? [Number(match[2]), Number(match[3])] : [NaN, NaN];
  if (!Number.isSafeInteger(release) || !Number.isSafeInteger(bytes)) throw malformed();
  const message = new TextEncoder().encode(match[1]);
  const signature = decode(match[5]);
  if (!signature) throw malformed();
  for (const key of keys) {
    if (await crypto.subtle.verify(SCHEME, key, signature, message)) return { release, bytes, sha256: match[4] };
  }
  throw new Error("the signature was not made with a key of this app, or has been changed");
}

async function publicKey(line) {
  const der = decode(line);
  const head = der && [...der.subarray(0, der.length - POINT_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (head !== SPKI_HEAD) throw badKey(line);
  return crypto.subtle.importKey("spki", der, CURVE, false, ["verify"]).catch(() => {
    throw badKey(line);
  });
}

function decode(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function malformed() {
  return new Error("the signature is malformed: it is not a signature of mobiledet");
}

function badKey(line) {
  return new Error(`'${line.slice(0, 40)}' is no public key of mobiledet sign --new-key`);
}
