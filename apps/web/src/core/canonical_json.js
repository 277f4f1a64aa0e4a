// JSON as Python's json.dumps(content, sort_keys=True) writes it, of which bundle.json holds the checksum.
//
// JSON.parse would not do: it makes 1.0 and 1 the same number, so numbers are kept as they are written.

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;
const TEXT = /"(?:[^"\\]|\\.)*"/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;
const ESCAPES = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b" };

/**
 * @param {string} text a JSON object that JSON.parse takes
 * @param {string} without a field of it to leave out
 * @returns {string}
 */
export function canonical(text, without) {
  return new Writer(text).object(without);
}

class Writer {
  #at = 0;

  constructor(text) {
    this.text = text;
  }

  value() {
    this.#take(SPACE);
    const next = this.text[this.#at];
    if (next === "{") return this.object();
    if (next === "[") return this.#list();
    if (next === '"') return quoted(JSON.parse(this.#take(TEXT)));
    return this.#take(next === "-" || (next >= "0" && next <= "9") ? NUMBER : WORD);
  }

  object(without) {
    const fields = new Map();
    this.#items("{", "}", () => {
      const key = JSON.parse(this.#take(TEXT));
      this.#take(SPACE);
      this.#at++; // the colon
      fields.set(key, this.value());
    });
    fields.delete(without);
    const keys = [...fields.keys()].sort(byCodePoint);
    return `{${keys.map((key) => `${quoted(key)}: ${fields.get(key)}`).join(", ")}}`;
  }

  #list() {
    const values = [];
    this.#items("[", "]", () => values.push(this.value()));
    return `[${values.join(", ")}]`;
  }

  #items(open, close, takeItem) {
    this.#take(SPACE);
    if (this.text[this.#at] !== open) throw new Error(`${open} is missing`);
    do {
      this.#at++; // the bracket or a comma
      this.#take(SPACE);
      if (this.text[this.#at] !== close) takeItem();
      this.#take(SPACE);
    } while (this.text[this.#at] === ",");
    this.#at++;
  }

  #take(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text);
    if (!found) throw new Error(`what stands at character ${this.#at} is no JSON`);
    this.#at += found[0].length;
    return found[0];
  }
}

function quoted(text) {
  return `"${text.replace(/["\\\u0000-\u001f\u007f-\uffff]/g, (unit) => ESCAPES[unit] ?? escaped(unit))}"`;
}

function escaped(unit) {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** As Python sorts texts; JavaScript would sort halves of surrogate pairs before some whole characters. */
function byCodePoint(a, b) {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i].codePointAt(0) - right[i].codePointAt(0);
  }
  return left.length - right.length;
}
