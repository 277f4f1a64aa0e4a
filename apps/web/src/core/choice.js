// Chooses the first model file of a bundle to run.

/** The default file in a browser: int8, which is the fastest and smallest on a CPU, or else the first. */
export function preferred(files) {
  return files.find(({ precision }) => precision === "int8") ?? files[0];
}
