/** Narrows a list: one control for each field with a known set of values, and chips for what is set. */
import { html, nothing } from "../../vendor/lit.js";
import { nameOf } from "../names.js";
import { entityNamed, fieldNamed, labelOfValue } from "../schema.js";
import { icon } from "./icons.js";
import "./picker.js";

const KINDS = new Set(["bool", "enum", "many", "reference"]);
const YES_NO = [
  { value: "true", label: "Yes" },
  { value: "false", label: "No" },
];

export const filterFields = (entity) =>
  entity.fields.filter((field) => KINDS.has(field.kind) && !field.secret);

/** `set(key, value)` changes the query; an empty value removes the key. */
export function filterControls(entity, query, set) {
  return filterFields(entity).map((field, index) => {
    const id = `filter-${index}`;
    const value = query.get(field.name) ?? "";
    return html`
      <div class="field">
        <label for=${id}>${field.label}</label>
        ${field.target ? pick(field, id, value, set) : select(field, id, value, set)}
      </div>
    `;
  });
}

const pick = (field, id, value, set) =>
  html`<row-picker
    .target=${field.target}
    .value=${value === "null" ? "" : value}
    .clearable=${true}
    .controlId=${id}
    @pick=${(event) => set(field.name, event.detail ?? "")}
  ></row-picker>`;

const select = (field, id, value, set) =>
  html`<select id=${id} @change=${(event) => set(field.name, event.target.value)}>
    <option value="" ?selected=${value === ""}>Any</option>
    ${(field.kind === "bool" ? YES_NO : field.values).map(
      (each) => html`<option value=${each.value} ?selected=${each.value === value}>${each.label}</option>`,
    )}
    ${field.optional ? html`<option value="null" ?selected=${value === "null"}>None</option>` : nothing}
  </select>`;

export function filterChips(entity, filters, set) {
  if (!filters.length) return nothing;
  return html`
    <ul class="chips" aria-label="Filters in use">
      ${filters.map(([key, value]) => {
        const text = filterText(entity, key, value);
        return html`<li class="chip">
          ${text}<button class="bare" aria-label="Remove filter ${text}" @click=${() => set(key, "")}>
            ${icon("close")}
          </button>
        </li>`;
      })}
    </ul>
  `;
}

const WORDS = { _gte: "from", _lte: "up to", _ne: "is not", _in: "is one of" };

export function filterText(entity, key, value) {
  const [suffix, word] = Object.entries(WORDS).find(
    ([end]) => !fieldNamed(entity, key) && key.endsWith(end),
  ) ?? ["", "is"];
  const field = fieldNamed(entity, key.slice(0, key.length - suffix.length));
  return `${field?.label ?? key} ${word} ${valueText(field, value)}`;
}

function valueText(field, value) {
  if (value === "null") return "none";
  if (field?.target && !value.includes(",")) return nameOf(entityNamed(field.target), value);
  if (field?.kind === "bool") return value === "true" ? "yes" : "no";
  return field?.kind === "enum"
    ? value
        .split(",")
        .map((each) => labelOfValue(field, each))
        .join(", ")
    : value;
}
