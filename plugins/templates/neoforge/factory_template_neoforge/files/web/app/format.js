/** Values as people read them. Decimals stay text all the way: Intl formats their digits without rounding. */
import { model } from "../model.js";
import { labelOfValue } from "./schema.js";

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const NOTHING = "–";

const WRITERS = {
  bool: (_field, value) => (value ? "Yes" : "No"),
  date: (_field, value) => day.format(localDay(value)),
  datetime: (_field, value) => moment.format(new Date(value)),
  decimal: (field, value) => decimal(field, value),
  enum: labelOfValue,
  float: (_field, value) => new Intl.NumberFormat(undefined, { maximumFractionDigits: 12 }).format(value),
  int: (_field, value) => new Intl.NumberFormat().format(value),
  json: (_field, value) => JSON.stringify(value, null, 2),
  list: (field, value) => value.map((item) => formatValue(field.item, item)).join(", "),
  time: (_field, value) => value.slice(0, value.slice(5, 8) === ":00" ? 5 : 8),
};

export function formatValue(field, value) {
  if (value === null || value === undefined || value === "") return NOTHING;
  return WRITERS[field.kind]?.(field, value) ?? String(value);
}

/** A date without a time is that day everywhere, so it must not pass through UTC. */
function localDay(value) {
  const [year, month, date] = value.split("-").map(Number);
  return new Date(year, month - 1, date);
}

function decimal(field, value) {
  const digits = { minimumFractionDigits: field.scale ?? 0, maximumFractionDigits: field.scale ?? 20 };
  const style = field.money ? { style: "currency", currency: model.currency, ...digits } : digits;
  try {
    return new Intl.NumberFormat(undefined, style).format(value);
  } catch {
    return field.money ? `${value} ${model.currency}` : value;
  }
}

const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "3 minutes ago", for times whose exact value is a hover away. */
export function ago(value) {
  const seconds = (Date.parse(value) - Date.now()) / 1000;
  const [unit, size] = STEPS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return Math.abs(seconds) < 60 ? "just now" : relative.format(Math.trunc(seconds / size), unit);
}
