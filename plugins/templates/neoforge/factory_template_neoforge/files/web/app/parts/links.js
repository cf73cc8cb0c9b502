/** Links that several pages share. */
import { html, nothing } from "../../vendor/lit.js";
import { boardHref, inSentence, listHref, may, newHref } from "../schema.js";
import { filterText } from "./filters.js";
import { icon } from "./icons.js";

/** Leads to the form of a new row, for those who may make one. */
export function newLink(entity, query, { verb = "New", look = "primary" } = {}) {
  if (!may("create", entity)) return nothing;
  return html`<a class="button ${look}" href=${newHref(entity, query)}
    >${icon("plus")}${verb} ${inSentence(entity.title)}</a
  >`;
}

/** Between the list and the board of an entity; `here` is the one that is shown. */
export function layoutSwitch(entity, here) {
  if (!entity.groupBy) return nothing;
  const link = (name, href, label) =>
    html`<a href=${href} aria-current=${name === here ? "page" : nothing}>${icon(name)}${label}</a>`;
  return html`<nav class="switch" aria-label="Layout">
    ${link("list", listHref(entity), "List")}${link("board", boardHref(entity), "Board")}
  </nav>`;
}

/** What a page is part of, above its heading. */
export const crumb = (href, text) =>
  html`<nav class="crumbs" aria-label="Breadcrumb"><a href=${href}>${icon("back")}${text}</a></nav>`;

/** The name of a view with the filter it always has, or the entity's own. */
export function heading(entity, view) {
  const note = view
    ? view.filter.map(({ key, value }) => filterText(entity, key, value)).join(" · ")
    : entity.description;
  return html`<div>
    <h1 tabindex="-1">${view?.name ?? entity.plural}</h1>
    ${note ? html`<p>${note}</p>` : nothing}
  </div>`;
}
