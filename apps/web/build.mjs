// Write the page as static files: its own sources, and what it needs of its packages, so that no other server is asked.
//
//   node build.mjs OUT

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGES = join(HERE, "node_modules");
// in a source tree the schema lies beside the page's sources, in an installed package with them
const SCHEMAS = ["../protocol", "protocol"].map((folder) => join(HERE, folder, "messages.schema.json"));

const OWN = ["index.html", "style.css", "package.json", "src", "service_worker.js", "manifest.webmanifest", "icon.svg"];
// file or folder of a package -> where it goes
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
// the runtime without threads, with them, and for browsers without relaxed SIMD
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
  // workers have no import map, so the runtime's one import by name becomes a path
  replace(join(out, "vendor/litert/core.js"), '"@litertjs/wasm-utils"', '"./wasm-utils.js"');
  const files = readdirSync(out, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(out, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
  // what the service worker fetches at once; the runtime has three variants, of which a browser takes one
  writeFileSync(join(out, "files.json"), JSON.stringify(files.filter((name) => !name.startsWith("vendor/litert/wasm/"))));
  // 9 MB of WebAssembly are a third when they are packed; servers send NAME.gz to who can unpack it
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
  if (!text.includes(from)) throw new Error(`${path} no longer imports ${from}`);
  writeFileSync(path, text.replace(from, to));
}

const [out] = process.argv.slice(2);
if (!out) {
  console.error("usage: node build.mjs OUT");
  process.exit(2);
}
build(out);
