// Keeps the page for when there is no network: what came once is answered from here where the server does not answer.
// The server is asked first, so that a new version of the page or the bundle is never held back.

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

/** The page's own files, but for the runtime, of which one variant comes as soon as a model is loaded. */
async function precache() {
  const [cache, reply] = await Promise.all([caches.open(CACHE), fetch("files.json")]);
  await cache.addAll(["./", ...(await reply.json())]);
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const reply = await fetch(request);
    const mayKeep = reply.status === 200 && !/no-store/.test(reply.headers.get("Cache-Control") ?? "");
    // a full disk must not take the reply away
    if (mayKeep) cache.put(request, reply.clone()).catch(() => {});
    return reply;
  } catch (error) {
    const kept = await cache.match(request, { ignoreVary: true });
    if (kept) return kept;
    throw error;
  }
}
