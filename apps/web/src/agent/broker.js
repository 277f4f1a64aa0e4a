// Requests for a page: it polls a broker for the next one and posts the replies.

const WAIT_SECONDS = 30;
const RETRY_MS = [0, 200, 500, 1000, 2000, 5000];
const PART_MS = 5000; // a long reply is sent in parts, so that the host knows that the page is alive

/** Another page has become the device. */
export class Replaced extends Error {}

export class Broker {
  #last = 0;
  #connected = false;

  /**
   * @param {string} token token from the page's URL
   * @param {string} page identifies this tab; unchanged when the page is reloaded
   * @param {(connected: boolean) => void} report called with whether the broker answers
   */
  constructor(token, page, report) {
    this.token = token;
    this.page = page;
    this.report = report;
  }

  /** Serve requests until another page becomes the device; several may be in progress. */
  async serve(agent) {
    for (;;) {
      const request = await this.#next();
      if (request) this.#answer(agent, request);
    }
  }

  async #next() {
    // the first answer comes at once and shows that the host is running
    const query = new URLSearchParams({ page: this.page, after: this.#last, wait: this.#connected ? WAIT_SECONDS : 0 });
    const response = await this.#retry(`next?${query}`, { method: "GET" });
    this.#connected = true;
    if (response.status === 204) return null;
    const body = new Uint8Array(await response.arrayBuffer());
    const { headers } = response;
    this.#last = Number(headers.get("Agent-Request"));
    return { number: this.#last, method: headers.get("Agent-Method"), path: headers.get("Agent-Path"), body };
  }

  async #answer(agent, request) {
    let part = 0;
    let text = "";
    let sent = performance.now();
    const post = (headers, body) => {
      const query = new URLSearchParams({ page: this.page, part: part++ });
      return this.#retry(`replies/${request.number}?${query}`, { method: "POST", headers, body });
    };
    const send = async (line) => {
      text += line;
      if (performance.now() - sent < PART_MS) return;
      await post({ "Agent-Status": "200", "Agent-More": "1", "Content-Type": "application/x-ndjson" }, text);
      [text, sent] = ["", performance.now()];
    };
    try {
      const { status, type, body } = await agent.handle(request, send);
      await post({ "Agent-Status": String(status), "Content-Type": type || "text/plain" }, text + body);
    } catch (error) {
      if (!(error instanceof Replaced)) console.error(error);
    }
  }

  /** Send a request until it is answered; all requests here may be repeated. */
  async #retry(path, options) {
    for (let attempt = 0; ; attempt++) {
      const response = await this.#fetch(path, options);
      if (response?.ok) {
        this.report(true);
        return response;
      }
      if (response?.status === 409) throw new Replaced("another page is the device now");
      if (response?.status === 401) throw new Error("the token in the address is wrong; open the address again");
      if (response && response.status < 500) throw new Error(`the host does not understand this page (${response.status}); load it again`);
      this.report(false);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
    }
  }

  async #fetch(path, options) {
    try {
      const headers = { ...options.headers, Authorization: `Bearer ${this.token}` };
      return await fetch(new URL(`v1/broker/${path}`, document.baseURI), { ...options, headers, cache: "no-store" });
    } catch {
      return null; // no network, or the broker is not running
    }
  }
}
