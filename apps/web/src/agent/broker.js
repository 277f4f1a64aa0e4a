// How requests come to a page: it asks a broker for the next one, again and again, and posts the replies.

const WAIT_SECONDS = 30;
const RETRY_MS = [0, 200, 500, 1000, 2000, 5000];
const PART_MS = 5000; // a long reply is sent in parts, so that the host knows that the page lives

/** This page has lost its place to another one. */
export class Replaced extends Error {}

export class Broker {
  #last = 0;
  #asked = false;

  /**
   * @param {string} token that the page's URL holds
   * @param {string} page names this tab; stays when the page is loaded again
   * @param {(connected: boolean) => void} report whether the broker answers
   */
  constructor(token, page, report) {
    this.token = token;
    this.page = page;
    this.report = report;
  }

  /** Serve every request until another page takes the place; several may be under way. */
  async serve(agent) {
    for (;;) {
      const request = await this.#next();
      if (request) this.#answer(agent, request);
    }
  }

  async #next() {
    // the first answer comes at once and shows that the host is there
    const query = new URLSearchParams({ page: this.page, after: this.#last, wait: this.#asked ? WAIT_SECONDS : 0 });
    const response = await this.#persist(`next?${query}`, { method: "GET" });
    this.#asked = true;
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
      return this.#persist(`replies/${request.number}?${query}`, { method: "POST", headers, body });
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

  /** Ask until an answer comes; whatever is asked here may be asked twice. */
  async #persist(path, options) {
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
      return null; // the network is away, or the broker
    }
  }
}
