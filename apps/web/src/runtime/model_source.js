// Where a page gets new models from, and where it keeps them.

const MAX_SIGNATURE_BYTES = 1024;

/** A zip on a web server, with its signature at the same address and `.sig`; for `updateModel`. */
export function webSource(url) {
  return { signature: () => download(`${url}.sig`, MAX_SIGNATURE_BYTES), download: (bytes) => download(url, bytes) };
}

/**
 * The browser's cache as the storage of a `ModelStore`; needs https or localhost.
 *
 * @returns {import("../core/model_store.js").Storage}
 */
export function cacheStorage(name = "mobiledet-models") {
  const cache = () => caches.open(name);
  const address = (entry) => new URL(`/${name}/${entry}`, location.origin).href;
  return {
    async read(entry) {
      const found = await (await cache()).match(address(entry));
      return found ? new Uint8Array(await found.arrayBuffer()) : null;
    },
    async write(entry, content) {
      await (await cache()).put(address(entry), new Response(content));
    },
    async remove(entry) {
      await (await cache()).delete(address(entry));
    },
    async names() {
      return (await (await cache()).keys()).map(({ url }) => url.split("/").at(-1));
    },
  };
}

/** Stops when there are more bytes than announced, instead of filling the memory. */
async function download(url, limit) {
  const reply = await fetch(url, { cache: "no-cache" }).catch((error) => {
    throw new Error(`${url} cannot be fetched: ${error.message}`);
  });
  if (!reply.ok) throw new Error(`${url} cannot be fetched: the server says ${reply.status}`);
  const parts = [];
  let length = 0;
  for (const reader = reply.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) {
      reader.cancel();
      throw new Error(`${url} has more than ${limit} bytes`);
    }
    parts.push(value);
  }
  const content = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    content.set(part, at);
    at += part.length;
  }
  return content;
}
