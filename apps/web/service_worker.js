// Caches the page for use without a network: if the server does not answer, cached files are used.
// The server is always asked first, so that new versions of the page or the bundle are used at once.

const CACHE = "mobiledet";

self.addEventListener("install", (event) => {
  event.waitUntil(precache().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method === "GET" && new URL(url).origin === location.origin) event.respondWith(answer(event.request));
});

/** Cache the page's own files, except the runtime, of which one variant is fetched when a model is loaded. */
async function precache() {
  const [cache, reply] = await Promise.all([caches.open(CACHE), fetch("files.json")]);
  await cache.addAll(["./", ...(await reply.json())]);
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const reply = await fetch(request);
    const mayCache = reply.status === 200 && !/no-store/.test(reply.headers.get("Cache-Control") ?? "");
    // a full disk must not prevent the reply
    if (mayCache) cache.put(request, reply.clone()).catch(() => {});
    return reply;
  } catch (error) {
    const cached = await cache.match(request, { ignoreVary: true });
    if (cached) return cached;
    throw error;
  }
}
