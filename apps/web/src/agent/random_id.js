/** A random identifier that cannot be guessed. `crypto.randomUUID` is not available to pages on plain http. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16).padStart(8, "0")).join("");
}
