// Validates messages: implements the part of JSON Schema that apps/protocol/messages.schema.json uses.

/**
 * @param {object} schema the whole document
 * @param {string} kind a name in its $defs
 * @param {any} value decoded JSON
 * @throws {Error} a field is missing, unknown, of another type or out of range
 */
export function checkMessage(schema, kind, value) {
  const problem = problemOf(schema.$defs, schema.$defs[kind], value, "");
  if (problem) throw new Error(problem);
}

function problemOf(definitions, rule, value, where) {
  if (rule.$ref) return problemOf(definitions, definitions[rule.$ref.split("/").at(-1)], value, where);
  if (rule.anyOf) {
    const problems = rule.anyOf.map((option) => problemOf(definitions, option, value, where));
    return problems.every(Boolean) ? problems.at(-1) : "";
  }
  const name = where || "the message";
  if (rule.enum && !rule.enum.includes(value)) return `${name} is not one of ${rule.enum.join(", ")}`;
  if (rule.type && !TYPES[rule.type](value)) return `${name} is not of type ${rule.type}`;
  const limit = problemOfRange(rule, value, name);
  if (limit) return limit;
  if (rule.type === "array") return firstProblem(value, (item, i) => problemOf(definitions, rule.items, item, `${where}[${i}]`));
  if (rule.type === "object") return problemOfObject(definitions, rule, value, where);
  return "";
}

/** Check the limits of a number, or of the length of a text or list. */
function problemOfRange(rule, value, name) {
  const [low, high] = LIMITS.map((names) => names.map((limit) => rule[limit]).find((limit) => limit !== undefined));
  const amount = typeof value === "number" ? value : value?.length;
  if (!(amount < low) && !(amount > high)) return "";
  return `${name} is not ${high === undefined ? `at least ${low}` : `in ${low}..${high}`}`;
}

const LIMITS = [
  ["minimum", "minLength", "minItems"],
  ["maximum", "maxLength", "maxItems"],
];

function problemOfObject(definitions, rule, value, where) {
  const path = (key) => (where ? `${where}.${key}` : key);
  const missing = (rule.required ?? []).find((key) => !Object.hasOwn(value, key));
  if (missing) return `${path(missing)} is missing`;
  return firstProblem(Object.entries(value), ([key, item]) => {
    const known = Object.hasOwn(rule.properties ?? {}, key) ? rule.properties[key] : rule.additionalProperties;
    return known ? problemOf(definitions, known, item, path(key)) : `${path(key)} is unknown`;
  });
}

function firstProblem(items, check) {
  for (const [index, item] of items.entries()) {
    const problem = check(item, index);
    if (problem) return problem;
  }
  return "";
}

const TYPES = {
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === "string",
  integer: Number.isSafeInteger,
  number: (value) => typeof value === "number",
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};
