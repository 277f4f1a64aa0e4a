// Chooses the first model file of a bundle to run.

/** The file that the bundle recommends for a runtime: `cpu` (WebAssembly), `gpu` (WebGPU); undefined if it has none. */
export function preferred(files, runtime = "cpu") {
  return files.find(({ recommended }) => recommended.includes(runtime));
}
