/** Rows of an entity: searched, narrowed, sorted, a page at a time. The address holds all of it. */
import { html, nothing, repeat } from "../../vendor/lit.js";
import { perform } from "../actions.js";
import { listRows } from "../api.js";
import { Loading } from "../loading.js";
import { learnNames } from "../names.js";
import { actionButton, problemCard, skeleton } from "../parts/buttons.js";
import { filterChips, filterControls, filterFields } from "../parts/filters.js";
import { icon } from "../parts/icons.js";
import { heading, layoutSwitch, newLink } from "../parts/links.js";
import { Part } from "../parts/part.js";
import { showValue } from "../parts/values.js";
import { go } from "../router.js";
import {
  fieldNamed,
  fieldsNamed,
  inSentence,
  listHref,
  mayRun,
  rowHref,
  titleOf,
  viewHref,
} from "../schema.js";

const PAUSE = 250;
const UNSORTABLE = new Set(["json", "list", "many"]);
const NUMBERS = new Set(["decimal", "float", "int"]);

class ListPage extends Part {
  static properties = {
    entity: {},
    view: {},
    query: {},
    rows: { state: true },
    next: { state: true },
    narrowing: { state: true },
  };

  #loading = new Loading(this);
  #more = new Loading(this);
  #pause = 0;

  constructor() {
    super();
    this.rows = null;
    this.narrowing = false;
  }

  willUpdate(changed) {
    if (changed.has("query")) this.#load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.#pause);
  }

  get #columns() {
    return fieldsNamed(this.entity, this.view?.columns ?? this.entity.columns);
  }

  get #sort() {
    return this.query.get("sort") ?? (this.view?.sort || this.view?.groupBy || "-created_at");
  }

  get #filters() {
    return [...this.query].filter(([key]) => key !== "q" && key !== "sort");
  }

  #load() {
    this.#more.problem = null;
    return this.#loading.run(async () => {
      const page = await this.#fetch();
      this.rows = page.items;
      this.next = page.next;
    });
  }

  #loadMore() {
    return this.#more.run(async () => {
      const asked = this.query;
      const page = await this.#fetch(this.next);
      if (asked !== this.query) return;
      this.rows = [...this.rows, ...page.items];
      this.next = page.next;
    });
  }

  async #fetch(cursor) {
    const always = (this.view?.filter ?? []).map(({ key, value }) => [key, value]);
    const filters = [...always, ...this.#filters];
    const page = await listRows(this.entity, {
      ...Object.fromEntries(filters),
      q: this.query.get("q"),
      sort: this.#sort,
      cursor,
    });
    const wanted = filters.map(([key, value]) => ({ [key]: value === "null" ? null : value }));
    await learnNames(this.#columns, page.items);
    await learnNames(
      fieldsNamed(
        this.entity,
        filters.map(([key]) => key),
      ).filter((field) => field.target),
      wanted,
    );
    return page;
  }

  #set(key, value, { replace = false } = {}) {
    const query = new URLSearchParams(this.query);
    if (value) query.set(key, value);
    else query.delete(key);
    this.#show(query, replace);
  }

  #show(query, replace = false) {
    const text = query.toString();
    const bare = this.view ? viewHref(this.view) : listHref(this.entity);
    go(text ? `${bare}?${text}` : bare, { replace });
  }

  render() {
    const { entity, view } = this;
    return html`
      <header class="head">
        ${heading(entity, view)}
        <div class="buttons">${this.#buttons()}</div>
      </header>
      ${this.#toolbar()} ${this.#body()}
    `;
  }

  #buttons() {
    const { entity, view } = this;
    const actions = entity.actions.filter((action) => !action.onRow && mayRun(action));
    return html`
      ${view ? nothing : layoutSwitch(entity, "list")}
      ${actions.map((action) => actionButton(action, () => this.#act(action)))}
      ${newLink(entity, this.#prefill())}
    `;
  }

  /** A new row starts in the list it was asked for from. */
  #prefill() {
    const plain = this.#filters.filter(([key, value]) => fieldNamed(this.entity, key) && value !== "null");
    return { ...Object.fromEntries(plain), ...(this.view ? { view: this.view.key } : {}) };
  }

  async #act(action) {
    if (await perform(action)) this.#load();
  }

  #toolbar() {
    const { entity, query } = this;
    const canNarrow = filterFields(entity).length > 0;
    const isText = entity.fields.some(
      (field) => ["email", "text", "url"].includes(field.kind) && !field.secret,
    );
    return html`
      <div class="toolbar">
        ${
          isText
            ? html` <label class="search">
                <span class="unseen">Search ${inSentence(entity.plural)}</span>${icon("search")}
                <input
                  type="search"
                  placeholder="Search"
                  .value=${query.get("q") ?? ""}
                  @input=${this.#typed}
                />
              </label>`
            : nothing
        }
        ${
          canNarrow
            ? html` <button
                class="button"
                aria-expanded=${this.narrowing}
                aria-controls="narrow"
                @click=${() => (this.narrowing = !this.narrowing)}
              >
                ${icon("filter")}Filter
              </button>`
            : nothing
        }
        ${this.#sorter()}
        <p class="faint" role="status">${this.#counted()}</p>
      </div>
      ${
        canNarrow
          ? html` <div class="card narrow" id="narrow" ?hidden=${!this.narrowing}>
              ${filterControls(entity, query, (key, value) => this.#set(key, value))}
            </div>`
          : nothing
      }
      ${filterChips(entity, this.#filters, (key, value) => this.#set(key, value))}
    `;
  }

  #typed(event) {
    clearTimeout(this.#pause);
    const typed = event.target.value;
    this.#pause = setTimeout(() => this.#set("q", typed, { replace: true }), PAUSE);
  }

  /** On a narrow screen the table has no headings to press. */
  #sorter() {
    const sortable = this.#columns.filter((field) => !UNSORTABLE.has(field.kind));
    const choices = sortable.flatMap(({ name, label }) => [
      [name, `${label}, up`],
      [`-${name}`, `${label}, down`],
    ]);
    return html`
      <select class="sorter" aria-label="Sort by" @change=${(event) => this.#set("sort", event.target.value)}>
        <option value="" ?selected=${!this.query.get("sort")}>Usual order</option>
        ${choices.map(([value, label]) => html`<option value=${value} ?selected=${value === this.query.get("sort")}>${label}</option>`)}
      </select>
    `;
  }

  #counted() {
    if (!this.rows || this.#loading.problem) return "";
    const things = this.rows.length === 1 ? this.entity.title : this.entity.plural;
    return `${this.rows.length} ${inSentence(things)}${this.next ? " so far" : ""}`;
  }

  #body() {
    if (this.#loading.problem) return problemCard(this.#loading.problem, () => this.#load());
    if (!this.rows) return skeleton;
    if (!this.rows.length) return this.#empty();
    return html`
      <div class="card table-card" aria-busy=${this.#loading.busy}>${this.#table()}</div>
      ${this.#more.problem ? problemCard(this.#more.problem, () => this.#loadMore()) : nothing}
      ${this.next ? this.#moreButton() : nothing}
    `;
  }

  #moreButton() {
    const { busy } = this.#more;
    return html`<p class="centre">
      <button class="button" ?disabled=${busy} @click=${this.#loadMore}>
        ${busy ? "Loading…" : "Load more"}
      </button>
    </p>`;
  }

  #empty() {
    const { entity } = this;
    if (this.query.get("q") || this.#filters.length) {
      return html`<div class="card empty">
        <p>Nothing matches.</p>
        <button class="button" @click=${() => this.#show(new URLSearchParams())}>
          Clear search and filters
        </button>
      </div>`;
    }
    return html`
      <div class="card empty">
        <p>No ${inSentence(entity.plural)} yet.</p>
        ${newLink(entity, this.#prefill())}
      </div>
    `;
  }

  #table() {
    const columns = this.#columns;
    const named = columns.find((field) => field.name === this.entity.titleField);
    return html`
      <table>
        <caption class="unseen">
          ${this.view?.name ?? this.entity.plural}
        </caption>
        <thead>
          <tr>
            ${named ? nothing : html`<th scope="col">${this.entity.title}</th>`}${columns.map((field) => this.#heading(field))}
          </tr>
        </thead>
        <tbody>
          ${repeat(
            this.rows,
            (row) => row.id,
            (row) =>
              html` <tr>
                ${named ? nothing : html`<th scope="row">${this.#link(row)}</th>`}
                ${columns.map((field) => (field === named ? html`<th scope="row">${this.#link(row)}</th>` : this.#cell(field, row)))}
              </tr>`,
          )}
        </tbody>
      </table>
    `;
  }

  #link(row) {
    return html`<a class="row-link" href=${rowHref(this.entity, row.id)}>${titleOf(this.entity, row)}</a>`;
  }

  #cell(field, row) {
    const look = NUMBERS.has(field.kind) ? "number" : "";
    return html`<td data-label=${field.label} class=${look}>${showValue(this.entity, field, row)}</td>`;
  }

  #heading(field) {
    const way = { [field.name]: "ascending", [`-${field.name}`]: "descending" }[this.#sort] ?? "none";
    const number = NUMBERS.has(field.kind) ? "number" : "";
    if (UNSORTABLE.has(field.kind)) return html`<th scope="col">${field.label}</th>`;
    const next = way === "ascending" ? `-${field.name}` : field.name;
    return html`<th scope="col" class=${number} aria-sort=${way}>
      <button class="sort" @click=${() => this.#set("sort", next)}>${field.label}${icon("down")}</button>
    </th>`;
  }
}

customElements.define("list-page", ListPage);
