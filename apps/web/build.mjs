// Write the page as static files: its own sources and the required files of its packages, so that it needs no other server.
//
//   node build.mjs OUT

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGES = join(HERE, "node_modules");
// the schema is beside the page's folder in a source tree, and inside it in an installed package
const SCHEMAS = ["../protocol", "protocol"].map((folder) => join(HERE, folder, "messages.schema.json"));

const OWN = ["index.html", "style.css", "package.json", "src", "service_worker.js", "manifest.webmanifest", "icon.svg"];
// file or folder of a package -> destination
const VENDOR = {
  "@litertjs/core/dist/index.js": "litert/core.js",
  "@litertjs/wasm-utils/dist/index.js": "litert/wasm-utils.js",
  "@litertjs/core/package.json": "litert/package.json",
  "@noble/hashes/sha2.js": "noble/sha2.js",
  "@noble/hashes/_md.js": "noble/_md.js",
  "@noble/hashes/_u64.js": "noble/_u64.js",
  "@noble/hashes/utils.js": "noble/utils.js",
  "@noble/hashes/LICENSE": "noble/LICENSE",
  "@zip.js/zip.js/index-native.min.js": "zip/zip.js",
  "@zip.js/zip.js/LICENSE": "zip/LICENSE",
};
// runtimes: without threads, with threads, and for browsers without relaxed SIMD
const RUNTIMES = ["litert_wasm_internal", "litert_wasm_threaded_internal", "litert_wasm_compat_internal"];

function build(out) {
  if (!existsSync(PACKAGES)) throw new Error(`${PACKAGES} is missing; run npm ci first`);
  rmSync(out, { recursive: true, force: true });
  for (const name of OWN) copy(join(HERE, name), join(out, name));
  copy(SCHEMAS.find(existsSync), join(out, "messages.schema.json"));
  for (const [from, to] of Object.entries(VENDOR)) copy(join(PACKAGES, from), join(out, "vendor", to));
  for (const name of RUNTIMES.flatMap((runtime) => [`${runtime}.js`, `${runtime}.wasm`])) {
    copy(join(PACKAGES, "@litertjs/core/wasm", name), join(out, "vendor/litert/wasm", name));
  }
  // workers have no import map, so the runtime's only import by name is replaced by a path
  replace(join(out, "vendor/litert/core.js"), '"@litertjs/wasm-utils"', '"./wasm-utils.js"');
  // the page uses the CPU: without this, each worker requests a GPU and logs an error if there is none
  replace(join(out, "vendor/litert/core.js"), "await Environment.create()", "await Environment.create({ webGpuDevice: null })");
  const files = readdirSync(out, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(out, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
  // files that the service worker fetches at once; of the runtime's three variants a browser uses only one
  writeFileSync(join(out, "files.json"), JSON.stringify(files.filter((name) => !name.startsWith("vendor/litert/wasm/"))));
  // compression reduces 9 MB of WebAssembly to a third; servers send NAME.gz to clients that accept it
  for (const name of files.filter((name) => name.startsWith("vendor/litert/"))) {
    writeFileSync(join(out, `${name}.gz`), gzipSync(readFileSync(join(out, name)), { level: 9 }));
  }
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}

function replace(path, from, to) {
  const text = readFileSync(path, "utf8");
  if (!text.includes(from)) throw new Error(`${path} no longer contains ${from}`);
  writeFileSync(path, text.replace(from, to));
}

const [out] = process.argv.slice(2);
if (!out) {
  console.error("usage: node build.mjs OUT");
  process.exit(2);
}
build(out);
