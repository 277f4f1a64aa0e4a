// Assembles the page: always for users, and as a test device if its address contains a token.

import { Agent } from "../agent/agent.js";
import { Broker, Replaced } from "../agent/broker.js";
import { randomId } from "../agent/random_id.js";
import { bundleFromFolder } from "../core/bundle.js";
import { Condition } from "../runtime/condition.js";
import { availableThreads, describeDevice, loadEngine } from "../runtime/device.js";
import { DevicePanel } from "./device_panel.js";
import { TryPanel } from "./try_panel.js";

const LIMITS = { body_bytes: 256_000_000, bundle_bytes: 512_000_000, sessions: 4, idle_seconds: 600, wait_seconds: 30 };
const OFFLINE_WAIT_MS = 5000;
const PAGE_KEY = "mobiledet-page";

const threads = availableThreads();
const tryPanel = new TryPanel({ load: loadEngine, threads, bundleBytes: LIMITS.bundle_bytes }, showProblem);

function showProblem(message) {
  const element = document.getElementById("problem");
  element.textContent = message;
  element.hidden = !message;
}

async function readJson(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(`${path} cannot be read`);
  return reply.json();
}

/** An identifier of this tab, unchanged when the page is reloaded. */
function pageName() {
  const name = sessionStorage.getItem(PAGE_KEY) ?? randomId();
  sessionStorage.setItem(PAGE_KEY, name);
  return name;
}

async function keepScreenOn() {
  const lock = () => navigator.wakeLock?.request("screen").catch(() => {});
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && lock());
  await lock();
}

async function serveAsDevice(token, runtimeVersion, version) {
  const panel = new DevicePanel(document.getElementById("device"));
  const asleep = navigator.wakeLock ? "" : " Disable the screen's timeout: this page cannot keep the screen on.";
  const single = threads > 1 ? "" : " It uses one thread, because its address is neither https nor localhost.";
  panel.advise(`Keep this page open and in the foreground.${asleep}${single}`);
  const condition = new Condition();
  const settings = {
    version: `mobiledet-web ${version}`,
    device: await describeDevice(runtimeVersion),
    limits: LIMITS,
    schema: await readJson("messages.schema.json"),
    threads,
  };
  const runtime = { load: loadEngine, condition: () => condition.value, onCondition: (listener) => condition.listen(listener) };
  const agent = new Agent(settings, runtime, (event) => {
    panel.show(event);
    if (event.kind === "session") tryPanel.lock(true);
    if (event.kind === "closed" && !agent.sessions.all.length) tryPanel.lock(false);
    if (event.kind === "bundle") tryPanel.offer(event.bundle).catch(() => {});
  });
  keepScreenOn();
  try {
    await new Broker(token, pageName(), (yes) => panel.connected(yes)).serve(agent);
  } catch (error) {
    panel.ended(error instanceof Replaced ? "another page is the device now; reload this one to use it instead" : error.message);
  }
}

/** Let a service worker cache the page; not needed for a test device, whose host is always available. */
async function keepForOffline() {
  if (!navigator.serviceWorker) return; // not available on plain http
  const controlled = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
  const failed = await navigator.serviceWorker.register("service_worker.js").catch((error) => error);
  if (failed instanceof Error || navigator.serviceWorker.controller) return;
  await Promise.race([controlled, new Promise((resolve) => setTimeout(resolve, OFFLINE_WAIT_MS))]);
}

async function main() {
  const [litert, page] = await Promise.all([readJson("vendor/litert/package.json"), readJson("package.json")]);
  const many = threads > 1 ? `${threads} threads` : "one thread";
  document.getElementById("runtime").textContent = `Version ${litert.version}, ${many}.`;
  const token = location.hash.slice(1);
  if (!token) await keepForOffline();
  if (token) serveAsDevice(token, litert.version, page.version).catch((error) => showProblem(error.message));
  const bundle = await bundleFromFolder(new URL("bundle/", document.baseURI).href, token).catch(() => null);
  if (bundle) await tryPanel.offer(bundle);
}

main().catch((error) => showProblem(error.message));
