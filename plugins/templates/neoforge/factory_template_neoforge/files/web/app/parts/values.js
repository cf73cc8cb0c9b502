/** One value of a row, shown by its kind. */
import { html, nothing } from "../../vendor/lit.js";
import { ago, formatValue, NOTHING } from "../format.js";
import { nameOf } from "../names.js";
import { entityNamed, fieldNamed, labelOfValue, may, rowHref, toneOf } from "../schema.js";
import { icon } from "./icons.js";

const badge = (entity, field, value) =>
  html`<span class="badge ${toneOf(entity, field.name, value)}" title=${field.label}
    >${labelOfValue(field, value)}</span
  >`;

/** The states of a row that has a life cycle. */
export const badges = (entity, row) =>
  entity.states
    .filter(({ field }) => row[field])
    .map(({ field }) => badge(entity, fieldNamed(entity, field), row[field]));

const SHOWERS = {
  bool: (_entity, _field, value) =>
    html`<span class="flag ${value ? "on" : "off"}"
      >${value ? icon("check") : nothing}${value ? "Yes" : "No"}</span
    >`,
  date: (_entity, field, value) => html`<time datetime=${value}>${formatValue(field, value)}</time>`,
  datetime: (_entity, field, value) =>
    html`<time datetime=${value} title=${ago(value)}>${formatValue(field, value)}</time>`,
  email: (_entity, _field, value) => html`<a href="mailto:${value}">${value}</a>`,
  enum: badge,
  json: (_entity, field, value) => html`<pre tabindex="0">${formatValue(field, value)}</pre>`,
  many: (_entity, field, value) =>
    html`<ul class="chips">
      ${value.map((id) => html`<li>${link(field, id)}</li>`)}
    </ul>`,
  reference: (_entity, field, value) => link(field, value),
  url: (_entity, _field, value) =>
    /^https?:/i.test(value)
      ? html`<a href=${value} rel="noopener noreferrer" target="_blank">${value}</a>`
      : value,
};

export const isNothing = (value) => value === null || value === undefined || value.length === 0;

export function showValue(entity, field, row) {
  const value = row[field.name];
  if (isNothing(value)) return html`<span class="nothing">${NOTHING}</span>`;
  return SHOWERS[field.kind]?.(entity, field, value) ?? formatValue(field, value);
}

function link(field, id) {
  const target = entityNamed(field.target);
  return may("read", target)
    ? html`<a href=${rowHref(target, id)}>${nameOf(target, id)}</a>`
    : nameOf(target, id);
}
