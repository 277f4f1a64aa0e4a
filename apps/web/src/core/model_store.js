// The models that a page installs at run time: the one in use and the one before it, each a zipped bundle.

import { bundleFromZip } from "./bundle.js";
import { checksum } from "./checksums.js";
import { verifySignature } from "./signed_file.js";

const CURRENT = "current";
const NAME = /^(0|[1-9][0-9]{0,15})-([0-9a-f]{64})$/;

/**
 * @typedef {object} Storage where zips are kept, by name; each write is complete or not made; see `cacheStorage`
 * @property {(name: string) => Promise<Uint8Array | null>} read
 * @property {(name: string, content: Uint8Array) => Promise<void>} write
 * @property {(name: string) => Promise<void>} remove
 * @property {() => Promise<string[]>} names
 */

/**
 * Installs new models. A new model is used only after its signature, every checksum and its golden cases have been verified;
 * the old one stays until then, and after any failure.
 */
export class ModelStore {
  #storage;
  #keys;
  #builtIn;
  #limitBytes;
  #turn = Promise.resolve();

  /**
   * @param {Storage} storage
   * @param {string[]} publicKeys as in `verifySignature`
   * @param {{builtIn?: number, limitBytes?: number}} options builtIn is the release of the bundle that the page itself has: only
   *   newer ones are installed and used; limitBytes limits the unpacked size
   */
  constructor(storage, publicKeys, { builtIn = -1, limitBytes = 512_000_000 } = {}) {
    this.#storage = storage;
    this.#keys = publicKeys;
    this.#builtIn = builtIn;
    this.#limitBytes = limitBytes;
  }

  /** The model to use as `{release, sha256}`, or null if none is installed that is newer than the built-in one. */
  async current() {
    const [first] = await this.#listed();
    return first && first.release > this.#builtIn ? first : null;
  }

  /** The model that was in use before, or null. */
  async previous() {
    return (await this.#listed())[1] ?? null;
  }

  /** Open the model to use and verify its files; null as in `current`. Throws an Error if it is damaged. */
  async open() {
    const model = await this.current();
    if (!model) return null;
    const zip = await this.#storage.read(nameOf(model));
    if (!zip) throw new Error(`release ${model.release} is missing from the storage`);
    return bundleFromZip(zip, this.#limitBytes);
  }

  /** Verify a signature, before anything is downloaded; throws an Error if it is malformed or not of this app. */
  verify(signature) {
    return verifySignature(signature, this.#keys);
  }

  /** Whether a release is newer than the model in use. */
  async isNewer({ release }) {
    return release > (await this.#newest());
  }

  /**
   * Install a downloaded model, which is used from now on.
   *
   * @param {Uint8Array} signature content of the file NAME.sig
   * @param {Uint8Array} zip nothing of it is read before its signature has been verified
   * @param {(bundle: object) => Promise<void>} gate loads the bundle and throws if it does not reproduce the golden cases
   * @param {{allowOlder?: boolean}} options accept a release that is only newer than the built-in one, for a deliberate return to
   *   an older model
   * @returns {Promise<object>} the bundle
   * @throws {Error} the signature is malformed or not of this app, the release is not newer, the file is not the signed one or
   *   damaged, or as `gate`; the model in use has not changed then
   */
  install(signature, zip, gate, options = {}) {
    return this.#alone(() => this.#install(signature, zip, gate, options));
  }

  /**
   * Use the previous model again and remove the current one.
   *
   * @returns {Promise<{release: number, sha256: string} | null>} the model in use now; null if there is no previous one
   */
  rollback() {
    return this.#alone(async () => {
      const previous = await this.previous();
      if (!previous) return null;
      await this.#use([previous]);
      await this.#removeOthers();
      return previous;
    });
  }

  /** Remove all models; the page uses the built-in one. */
  clear() {
    return this.#alone(async () => {
      await this.#use([]);
      await this.#removeOthers();
    });
  }

  async #install(signature, zip, gate, { allowOlder = false }) {
    const signed = await this.verify(signature);
    const least = allowOlder ? this.#builtIn : await this.#newest();
    if (signed.release <= least) throw new Error(`release ${signed.release} is not newer than release ${least}, which is in use`);
    if (zip.length !== signed.bytes || checksum(zip) !== signed.sha256) {
      throw new Error("the downloaded file is not the signed one: it is incomplete or has been changed");
    }
    const before = await this.#listed();
    const name = nameOf(signed);
    if (before.some((model) => nameOf(model) === name)) {
      throw new Error(`release ${signed.release} is installed already; rollback returns to it`);
    }
    const bundle = await bundleFromZip(zip, this.#limitBytes);
    await gate(bundle);
    await this.#removeOthers();
    try {
      await this.#storage.write(name, zip);
      await this.#use([signed, ...before.slice(0, 1)]);
    } catch (error) {
      await this.#storage.remove(name).catch(() => {});
      throw error;
    }
    await this.#removeOthers();
    return bundle;
  }

  async #newest() {
    return (await this.current())?.release ?? this.#builtIn;
  }

  /** The models in use and before; none if the list is missing or damaged, so that the page uses the built-in model. */
  async #listed() {
    const content = await this.#storage.read(CURRENT);
    const lines = content?.length ? new TextDecoder().decode(content).replace(/\n$/, "").split("\n") : [];
    const matches = lines.map((line) => NAME.exec(line));
    return matches.every(Boolean) ? matches.map(([, release, sha256]) => ({ release: Number(release), sha256 })) : [];
  }

  #use(models) {
    return this.#storage.write(CURRENT, new TextEncoder().encode(models.map((model) => `${nameOf(model)}\n`).join("")));
  }

  /** Remove models that are no longer used, and what interrupted installations left. */
  async #removeOthers() {
    const kept = [CURRENT, ...(await this.#listed()).map(nameOf)];
    for (const name of await this.#storage.names()) {
      if (!kept.includes(name)) await this.#storage.remove(name);
    }
  }

  /** Run changes one after the other. */
  #alone(change) {
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    return done;
  }
}

function nameOf({ release, sha256 }) {
  return `${release}-${sha256}`;
}

/**
 * Fetch the signature and, only if its release is newer than the model in use, the zip, and install it.
 *
 * @param {ModelStore} store
 * @param {{signature: () => Promise<Uint8Array>, download: (bytes: number) => Promise<Uint8Array>}} source see `webSource`
 * @param {(bundle: object) => Promise<void>} gate as in `ModelStore.install`
 * @returns {Promise<object | null>} the new bundle; null if there is no newer one
 */
export async function updateModel(store, source, gate) {
  const signature = await source.signature();
  const signed = await store.verify(signature);
  if (!(await store.isNewer(signed))) return null;
  return store.install(signature, await source.download(signed.bytes), gate);
}
