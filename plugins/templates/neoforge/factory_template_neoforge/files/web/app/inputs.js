/** Between what a form holds (text, mostly) and what the service takes. */

const pad = (number, width = 2) => String(number).padStart(width, "0");

/** What a form starts with for a field: the row's value, or the default of a new row. */
export function draftOf(field, row) {
  if (field.secret) return "";
  const value = row ? row[field.name] : startingValue(field);
  return DRAFTS[field.kind]?.(value, field) ?? (value === null || value === undefined ? "" : String(value));
}

/** `now` and `today` are left to the service, which knows the time. */
function startingValue(field) {
  const isClock =
    ["date", "datetime", "time"].includes(field.kind) && ["now", "today"].includes(field.default);
  if (!field.hasDefault || isClock) return null;
  return ["json", "list"].includes(field.kind) ? JSON.parse(field.default) : field.default;
}

const DRAFTS = {
  bool: (value, field) => (field.optional ? (value === null ? "" : String(value)) : Boolean(value)),
  many: (value) => value ?? [],
  list: (value) => (value ?? []).join("\n"),
  json: (value) => (value === null || value === undefined ? "" : JSON.stringify(value, null, 2)),
  datetime: (value) => (value ? localMoment(new Date(value)) : ""),
  time: (value) => (value ?? "").replace(/(\.\d+)?(Z|[+-]\d\d:\d\d)?$/, ""),
};

const localMoment = (date) =>
  `${pad(date.getFullYear(), 4)}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}` +
  `T${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;

/** The JSON value of a draft. Throws a TypeError whose message is fit to show at the field. */
export function valueOf(field, draft) {
  if (draft === "" && field.kind !== "list") return field.kind === "text" && !field.optional ? "" : null;
  return VALUES[field.kind]?.(draft, field) ?? draft;
}

const VALUES = {
  bool: (draft) => draft === true || draft === "true",
  datetime: (draft) => new Date(draft).toISOString(),
  decimal: (draft) => exact(draft, /^[+-]?(\d+(\.\d*)?|\.\d+)$/, "Write a number such as 12.50."),
  float: (draft) =>
    Number(exact(draft, /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i, "Write a number such as 0.5.")),
  int: (draft) => whole(exact(draft, /^[+-]?\d+$/, "Write a whole number.")),
  json: parsed,
  list: (draft, field) =>
    draft
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean)
      .map((line) => valueOf(field.item, line)),
};

const whole = (digits) => (Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits));

function exact(draft, shape, advice) {
  const text = draft.trim();
  if (!shape.test(text)) throw new TypeError(advice);
  return text;
}

function parsed(draft) {
  try {
    return JSON.parse(draft);
  } catch (error) {
    throw new TypeError(`This is not JSON: ${error.message}`);
  }
}

export const isEmpty = (draft) => draft === "" || (Array.isArray(draft) && draft.length === 0);
export const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);
