// Which model file of a bundle runs first.

/** The file that a browser takes by itself: int8, the quickest and smallest on a processor, else the first. */
export function preferred(files) {
  return files.find(({ precision }) => precision === "int8") ?? files[0];
}
