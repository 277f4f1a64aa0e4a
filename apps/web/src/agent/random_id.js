/** A name that nobody guesses. `crypto.randomUUID` would not do: pages on plain http do not have it. */
export function randomId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(16).padStart(8, "0")).join("");
}
