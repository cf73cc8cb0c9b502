/** A labelled form control for a field, with its description, its error, and the input its kind needs. */
import { html, live, nothing } from "../../vendor/lit.js";
import { model } from "../../model.js";
import { canMove } from "../schema.js";
import "./picker.js";

const TYPES = { date: "date", datetime: "datetime-local", email: "email", time: "time", url: "url" };
const MODES = { decimal: "decimal", float: "decimal", int: "numeric" };
const HINTS = { json: "JSON", list: "One per line" };
const UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";

/** `place` is `{id, draft, error, entity, row, onInput}`; `row` is null while creating. */
export function fieldControl(field, place) {
  const { id, error } = place;
  const hint = hintOf(field, place.row);
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const control = controlOf(field)(field, { ...place, described });
  const mark = field.optional ? html` <span class="optional">optional</span>` : nothing;
  const label = html`<label for=${id}>${field.label}${mark}</label>`;
  const isCheckbox = field.kind === "bool" && !field.optional;
  return html`
    <div class="field ${isWide(field) ? "wide" : ""}">
      ${isCheckbox ? html`<div class="check">${control}${label}</div>` : html`${label}${control}`}
      ${hint ? html`<p class="hint" id="${id}-hint">${hint}</p>` : nothing}
      ${error ? html`<p class="error" id="${id}-error">${error}</p>` : nothing}
    </div>
  `;
}

const isWide = (field) => field.long || ["json", "list", "many"].includes(field.kind);

function controlOf(field) {
  if (field.kind === "enum" || (field.kind === "bool" && field.optional)) return choice;
  if (field.kind === "bool") return checkbox;
  if (field.kind === "reference" || field.kind === "many") return picker;
  return field.long || field.kind === "json" || field.kind === "list" ? area : line;
}

function hintOf(field, row) {
  if (field.description) return field.description;
  if (field.secret && row) return "Leave empty to keep what is stored.";
  if (field.kind === "datetime") return `Your time, ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  if (field.money) return model.currency;
  return HINTS[field.kind] ?? "";
}

function line(field, { id, draft, error, described, row, onInput }) {
  return html`<input
    id=${id}
    type=${field.secret ? "password" : (TYPES[field.kind] ?? "text")}
    inputmode=${MODES[field.kind] ?? nothing}
    pattern=${field.kind === "uuid" ? UUID : nothing}
    step=${hasSeconds(field, draft) ? "1" : nothing}
    minlength=${isText(field) ? (field.min ?? nothing) : nothing}
    maxlength=${isText(field) ? (field.max ?? nothing) : nothing}
    autocomplete=${field.secret ? "new-password" : "off"}
    ?required=${field.required && !(field.secret && row)}
    aria-invalid=${error ? "true" : nothing}
    aria-describedby=${described ?? nothing}
    .value=${live(draft)}
    @input=${(event) => onInput(event.target.value)}
  />`;
}

function area(field, { id, draft, error, described, onInput }) {
  return html`<textarea
    id=${id}
    rows=${field.long ? 5 : 4}
    class=${field.kind === "json" ? "code" : ""}
    spellcheck=${field.kind === "json" ? "false" : nothing}
    minlength=${isText(field) ? (field.min ?? nothing) : nothing}
    maxlength=${isText(field) ? (field.max ?? nothing) : nothing}
    ?required=${field.required}
    aria-invalid=${error ? "true" : nothing}
    aria-describedby=${described ?? nothing}
    .value=${live(draft)}
    @input=${(event) => onInput(event.target.value)}
  ></textarea>`;
}

/** Seconds are only in the way of those who never use them. */
const hasSeconds = ({ kind }, draft) => ["datetime", "time"].includes(kind) && /:\d\d:(?!00)/.test(draft);

const isText = (field) => field.kind === "text";

/** A field with states offers only where the row may go from here. */
function choice(field, { id, draft, error, described, entity, row, onInput }) {
  const values =
    field.kind === "bool"
      ? [
          { value: "true", label: "Yes" },
          { value: "false", label: "No" },
        ]
      : field.values;
  const offered =
    row && entity
      ? values.filter(({ value }) => canMove(entity, field.name, row[field.name], value))
      : values;
  const none = field.optional ? "None" : "Choose…";
  return html`<select
    id=${id}
    ?required=${field.required}
    aria-invalid=${error ? "true" : nothing}
    aria-describedby=${described ?? nothing}
    @change=${(event) => onInput(event.target.value)}
  >
    ${field.optional || draft === "" ? html`<option value="" ?selected=${draft === ""}>${none}</option>` : nothing}
    ${offered.map(({ value, label }) => html`<option value=${value} ?selected=${value === draft}>${label}</option>`)}
  </select>`;
}

function checkbox(_field, { id, draft, error, described, onInput }) {
  return html`<input
    id=${id}
    type="checkbox"
    aria-invalid=${error ? "true" : nothing}
    aria-describedby=${described ?? nothing}
    .checked=${live(draft === true)}
    @change=${(event) => onInput(event.target.checked)}
  />`;
}

function picker(field, { id, draft, error, described, onInput }) {
  return html`<row-picker
    .target=${field.target}
    .value=${draft}
    .multiple=${field.kind === "many"}
    .clearable=${field.optional}
    .controlId=${id}
    .described=${described}
    .invalid=${Boolean(error)}
    @pick=${(event) => onInput(event.detail ?? "")}
  ></row-picker>`;
}
