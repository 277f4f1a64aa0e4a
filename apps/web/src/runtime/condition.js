// The state of the device, as far as a browser reports it: a DeviceState without the memory.

/** Watches the visibility of the page and the battery. */
export class Condition {
  #battery = null;
  #listeners = [];

  constructor() {
    document.addEventListener("visibilitychange", () => this.#changed());
    this.#watchBattery();
  }

  get value() {
    return {
      memory_bytes: null,
      peak_memory_bytes: null,
      temperatures_c: {},
      thermal_status: null,
      load: null,
      foreground: document.visibilityState === "visible",
      battery: this.#battery?.level ?? null,
      charging: this.#battery?.charging ?? null,
      power_saving: null,
    };
  }

  /** Call `listener` with the new value at every change. */
  listen(listener) {
    this.#listeners.push(listener);
  }

  async #watchBattery() {
    if (!navigator.getBattery) return; // not available in Safari, Firefox, and on plain http
    try {
      this.#battery = await navigator.getBattery();
    } catch {
      return;
    }
    for (const event of ["levelchange", "chargingchange"]) {
      this.#battery.addEventListener(event, () => this.#changed());
    }
  }

  #changed() {
    for (const listener of this.#listeners) listener(this.value);
  }
}
