// Write the page as static files: its own sources and the required files of its packages, so that it needs no other server.
// With --package: what npm publishes as @mobiledet/web, see package.json.
//
//   node build.mjs [--package] OUT

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGES = join(HERE, "node_modules");
// the schema is beside the page's folder in a source tree, and inside it in an installed package
const SCHEMAS = ["../protocol", "protocol"].map((folder) => join(HERE, folder, "messages.schema.json"));

const PAGE = ["index.html", "style.css", "package.json", "src", "service_worker.js", "manifest.webmanifest", "icon.svg"];
const LIBRARY = ["index.js", "camera.js", "src/core", "src/runtime"].concat(
  ["camera.js", "camera_element.js", "draw.js", "words.js"].map((name) => `src/ui/${name}`),
);
const LICENSE = join(HERE, "../../LICENSE");
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
// runtimes: without threads, with threads, for browsers without relaxed SIMD, and for WebGPU
const RUNTIMES = ["internal", "threaded_internal", "compat_internal", "jspi_internal"].map((name) => `litert_wasm_${name}`);
const BROTLI_QUALITY = 6; // 9 makes files of 3 % less in five times the time

/** Write the page. */
async function buildPage(out) {
  for (const name of PAGE) copy(join(HERE, name), join(out, name));
  copy(SCHEMAS.find(existsSync), join(out, "messages.schema.json"));
  copyPackages(out);
  const files = filesIn(out);
  // files that the service worker fetches at once; of the runtime's variants a browser uses only one
  writeFileSync(join(out, "files.json"), JSON.stringify(files.filter((name) => !name.startsWith("vendor/litert/wasm/"))));
  await compress(out, files.filter((name) => name.startsWith("vendor/litert/")));
}

/** Write the library for other pages, which need neither an import map nor a bundler. */
function buildPackage(out) {
  for (const name of LIBRARY) copy(join(HERE, name), join(out, name));
  copy(LICENSE, join(out, "LICENSE"));
  copyPackages(out);
  const page = readFileSync(join(HERE, "index.html"), "utf8");
  const { imports } = JSON.parse(/<script type="importmap">(.*?)<\/script>/s.exec(page)[1]);
  for (const name of filesIn(join(out, "src"))) {
    const path = join(out, "src", name);
    const toFile = ([whole, imported]) => (imports[imported] ? `from "${posix(relative(dirname(path), join(out, imports[imported])))}"` : whole);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(/from "([^"]+)"/g, (...match) => toFile(match)));
  }
}

function copyPackages(out) {
  for (const [from, to] of Object.entries(VENDOR)) copy(join(PACKAGES, from), join(out, "vendor", to));
  for (const name of RUNTIMES.flatMap((runtime) => [`${runtime}.js`, `${runtime}.wasm`])) {
    copy(join(PACKAGES, "@litertjs/core/wasm", name), join(out, "vendor/litert/wasm", name));
  }
  // workers have no import map, so the runtime's only import by name is replaced by a path
  replace(join(out, "vendor/litert/core.js"), '"@litertjs/wasm-utils"', '"./wasm-utils.js"');
  // the CPU is the default: without this, each worker requests a GPU and logs an error if there is none
  replace(join(out, "vendor/litert/core.js"), "await Environment.create()", "await Environment.create({ webGpuDevice: null })");
}

/** Write NAME.gz and NAME.br, which servers send to clients that accept them, and print what they save. */
async function compress(out, names) {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY, [constants.BROTLI_PARAM_LGWIN]: 24 } };
  for (const name of names) {
    const content = readFileSync(join(out, name));
    const [gz, br] = await Promise.all([promisify(gzip)(content, { level: 9 }), promisify(brotliCompress)(content, quality)]);
    writeFileSync(join(out, `${name}.gz`), gz);
    writeFileSync(join(out, `${name}.br`), br);
    const sizes = [content, gz, br].map(({ length }) => (length / 1e6).toFixed(2));
    if (name.endsWith(".wasm")) console.log(`${name}: ${sizes[0]} MB, gzip ${sizes[1]} MB, brotli ${sizes[2]} MB`);
  }
}

/** All files in a folder, by their relative paths. */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix(relative(folder, join(entry.parentPath, entry.name))))
    .sort();
}

function posix(path) {
  return path.replaceAll("\\", "/");
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

const { values, positionals } = parseArgs({ options: { package: { type: "boolean" } }, allowPositionals: true });
const [out] = positionals;
if (positionals.length !== 1) {
  console.error("usage: node build.mjs [--package] OUT");
  process.exit(2);
}
if (!existsSync(PACKAGES)) throw new Error(`${PACKAGES} is missing; run npm ci first`);
rmSync(out, { recursive: true, force: true });
await (values.package ? buildPackage : buildPage)(out);
