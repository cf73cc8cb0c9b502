/** One row: its values, what may be done with it, and the rows that refer to it. */
import { html, nothing } from "../../vendor/lit.js";
import { model } from "../../model.js";
import { perform } from "../actions.js";
import { changeRow, deleteRow, getRow, listRows } from "../api.js";
import { ago } from "../format.js";
import { Loading } from "../loading.js";
import { learnNames } from "../names.js";
import { actionButton, problemCard, skeleton } from "../parts/buttons.js";
import { confirm } from "../parts/dialogs.js";
import { icon } from "../parts/icons.js";
import { crumb, newLink } from "../parts/links.js";
import { Part } from "../parts/part.js";
import { toast } from "../parts/toasts.js";
import { badges, isNothing, showValue } from "../parts/values.js";
import { go } from "../router.js";
import {
  editHref,
  entityNamed,
  fieldNamed,
  fits,
  hasStates,
  inSentence,
  labelOfValue,
  listHref,
  may,
  mayRun,
  movesFrom,
  rowHref,
  titleOf,
} from "../schema.js";

const SHOWN = 5;

class RowPage extends Part {
  static properties = { entity: {}, rowId: {}, related: { state: true } };

  #loading = new Loading(this);

  connectedCallback() {
    super.connectedCallback();
    this.related = [];
    this.#load();
  }

  #load() {
    return this.#loading.run(async () => {
      const row = await getRow(this.entity, this.rowId);
      await learnNames(this.entity.fields, [row]);
      document.title = `${titleOf(this.entity, row)} · ${model.name}`;
      this.#loadRelated();
      return row;
    });
  }

  async #loadRelated() {
    const readable = this.entity.related.filter(({ entity }) => may("read", entityNamed(entity)));
    const lists = await Promise.allSettled(
      readable.map(({ entity, field }) =>
        listRows(entityNamed(entity), { [field]: this.rowId, sort: "-created_at", limit: SHOWN }),
      ),
    );
    this.related = readable
      .map((relation, index) => ({ ...relation, page: lists[index].value }))
      .filter(({ page }) => page);
  }

  render() {
    const { value: row, problem } = this.#loading;
    if (problem)
      return html`<h1 tabindex="-1">${this.entity.title}</h1>
        ${problemCard(problem, () => this.#load())}`;
    if (!row)
      return html`<h1 tabindex="-1" class="unseen">${this.entity.title}</h1>
        ${skeleton}`;
    return html`
      ${crumb(listHref(this.entity), this.entity.plural)}
      <header class="head">
        <div class="named">
          <h1 tabindex="-1">${titleOf(this.entity, row)}</h1>
          ${badges(this.entity, row)}
        </div>
        <div class="buttons">${this.#buttons(row)}</div>
      </header>
      ${this.#steps(row)}
      <section class="card" aria-label="Details">
        <dl class="values">${this.#below.map((field) => this.#value(field, row))}</dl>
        <p class="faint stamp">
          Created <time datetime=${row.created_at}>${ago(row.created_at)}</time>, changed
          <time datetime=${row.updated_at}>${ago(row.updated_at)}</time>
        </p>
      </section>
      ${this.related.map((relation) => this.#related(relation))}
    `;
  }

  /** What the head of the page does not say already. */
  get #below() {
    const { titleField, fields } = this.entity;
    return fields.filter(
      ({ name, secret }) => !secret && name !== titleField && !hasStates(this.entity, name),
    );
  }

  #value(field, row) {
    const wide = (field.long || field.kind === "json") && !isNothing(row[field.name]);
    return html`<div class=${wide ? "wide" : ""}>
      <dt>${field.label}</dt>
      <dd class=${field.long ? "prose" : ""}>${showValue(this.entity, field, row)}</dd>
    </div>`;
  }

  #buttons(row) {
    const { entity } = this;
    return html`
      ${this.#actions(row).map((action) => actionButton(action, () => this.#act(action, row)))}
      ${may("update", entity) ? html`<a class="button" href=${editHref(entity, row.id)}>${icon("edit")}Edit</a>` : nothing}
      ${may("delete", entity) ? html`<button class="button danger-quiet" @click=${() => this.#delete(row)}>${icon("trash")}Delete</button>` : nothing}
    `;
  }

  #actions(row) {
    return this.entity.actions.filter(
      (action) => action.onRow && mayRun(action) && fits(action, this.entity, row),
    );
  }

  /** Where the row's states let it go from here, except where an action already leads. */
  #steps(row) {
    if (!may("update", this.entity)) return nothing;
    return this.entity.states.map(({ field: name }) => {
      const field = fieldNamed(this.entity, name);
      const led = this.#actions(row).flatMap(({ sets }) => sets.filter((set) => set.field === name));
      const open = field.readonly ? [] : movesFrom(this.entity, name, row[name]);
      const moves = open.filter((value) => led.every((set) => set.value !== value));
      if (!moves.length) return nothing;
      return html`<div class="steps" role="group" aria-label="Change ${inSentence(field.label)}">
        <span class="faint">Move to</span>
        ${moves.map((value) => html`<button class="button small" @click=${() => this.#move(row, field, value)}>${labelOfValue(field, value)}</button>`)}
      </div>`;
    });
  }

  #related({ entity: name, field: fieldName, page }) {
    const entity = entityNamed(name);
    const several = this.entity.related.filter((each) => each.entity === name).length > 1;
    const title = several
      ? `${entity.plural} (${inSentence(fieldNamed(entity, fieldName).label)})`
      : entity.plural;
    const here = { [fieldName]: this.rowId };
    return html`
      <section class="card related" aria-label=${title}>
        <div class="tile-head">
          <h2><a href=${listHref(entity, here)}>${title}</a></h2>
          ${newLink(entity, here, { verb: "Add", look: "small" })}
        </div>
        ${page.items.length ? nothing : html`<p class="faint">None yet.</p>`}
        <ul class="latest">
          ${page.items.map((row) => this.#relatedRow(entity, row))}
        </ul>
        ${page.next ? html`<p><a href=${listHref(entity, here)}>See all</a></p>` : nothing}
      </section>
    `;
  }

  #relatedRow(entity, row) {
    return html`<li>
      <a href=${rowHref(entity, row.id)}>${titleOf(entity, row)}</a>
      ${badges(entity, row)}
      <time datetime=${row.created_at}>${ago(row.created_at)}</time>
    </li>`;
  }

  async #act(action, row) {
    if (!(await perform(action, row))) return;
    if (action.method === "DELETE") go(listHref(this.entity));
    else if (action.method !== "GET") this.#load();
  }

  async #move(row, field, value) {
    try {
      await changeRow(this.entity, row.id, { [field.name]: value });
      toast(`${titleOf(this.entity, row)}: ${labelOfValue(field, value)}.`);
    } catch (problem) {
      toast(problem.message, { tone: "bad" });
    }
    this.#load();
  }

  async #delete(row) {
    const title = titleOf(this.entity, row);
    const sure = await confirm({
      title: `Delete ${title}?`,
      text: `This ${inSentence(this.entity.title)} will be gone for good.`,
      verb: "Delete",
      keep: "Keep",
      danger: true,
    });
    if (!sure) return;
    try {
      await deleteRow(this.entity, row.id);
      toast(`${title} is deleted.`);
      if (this.isConnected) go(listHref(this.entity), { replace: true });
    } catch (problem) {
      toast(problem.status === 409 ? `${title} is still in use. ${problem.message}` : problem.message, {
        tone: "bad",
      });
    }
  }
}

customElements.define("row-page", RowPage);
