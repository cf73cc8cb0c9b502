/** Rows as cards in lanes. A card moves by pointer, by its menu, or with Shift and the arrow keys. */
import { classMap, html, nothing, repeat } from "../../vendor/lit.js";
import { changeRow, runAction } from "../api.js";
import { dragCard } from "../drag.js";
import { filled, lanesOf, withFirst, without } from "../lanes.js";
import { Loading } from "../loading.js";
import { learnNames } from "../names.js";
import { problemCard } from "../parts/buttons.js";
import { icon } from "../parts/icons.js";
import { heading, layoutSwitch, newLink } from "../parts/links.js";
import { Part } from "../parts/part.js";
import { toast } from "../parts/toasts.js";
import { isNothing, showValue } from "../parts/values.js";
import {
  canMove,
  fieldNamed,
  fieldsNamed,
  inSentence,
  may,
  mayRun,
  rowHref,
  titleOf,
  toneOf,
} from "../schema.js";

const DETAILS = 3;

const countOf = ({ rows, next }) => (rows ? `${rows.length}${next ? "+" : ""}` : "");

class BoardPage extends Part {
  static properties = {
    entity: {},
    view: {},
    lanes: { state: true },
    lifted: { state: true },
    under: { state: true },
    chosen: { state: true },
    said: { state: true },
  };

  #loading = new Loading(this);

  connectedCallback() {
    super.connectedCallback();
    this.lanes = [];
    this.#load();
  }

  get #field() {
    return fieldNamed(this.entity, this.view?.groupBy ?? this.entity.groupBy);
  }

  get #details() {
    const names = this.view?.columns ?? this.entity.columns;
    return fieldsNamed(this.entity, names).filter(
      ({ name }) => name !== this.#field.name && name !== this.entity.titleField,
    );
  }

  get #query() {
    const always = (this.view?.filter ?? []).map(({ key, value }) => [key, value]);
    return { ...Object.fromEntries(always), sort: this.view?.sort || "-created_at" };
  }

  #load() {
    return this.#loading.run(async () => {
      this.lanes = await lanesOf(this.entity, this.#field, this.view?.filter ?? []);
      await Promise.all(this.lanes.map((lane) => this.#fill(lane)));
    });
  }

  async #fill(lane) {
    const full = await filled(lane, this.entity, this.#field, this.#query);
    await learnNames(this.#details, full.rows ?? []);
    this.#change(lane.key, () => full);
  }

  #change(key, change) {
    this.lanes = this.lanes.map((lane) => (lane.key === key ? change(lane) : lane));
  }

  render() {
    const { entity, view } = this;
    return html`
      <header class="head">
        ${heading(entity, view)}
        <div class="buttons">
          ${view ? nothing : layoutSwitch(entity, "board")} ${newLink(entity, view ? { view: view.key } : {})}
        </div>
      </header>
      ${this.#loading.problem ? problemCard(this.#loading.problem, () => this.#load()) : this.#board()}
      <p class="unseen" role="status">${this.said}</p>
      ${this.#menu()}
    `;
  }

  #board() {
    return html`
      ${this.#isMovable ? html`<p class="faint board-hint">Drag a card, or focus it and press <kbd>Shift</kbd> <kbd>←</kbd> <kbd>→</kbd>.</p>` : nothing}
      <div class="board" role="group" aria-label="Board by ${inSentence(this.#field.label)}" tabindex="0">
        ${repeat(
          this.lanes,
          (lane) => lane.key,
          (lane) => this.#lane(lane),
        )}
      </div>
    `;
  }

  #lane(lane) {
    const isOpen = !this.lifted || this.#takes(this.lifted, lane);
    const tone = lane.value === null ? "plain" : toneOf(this.entity, this.#field.name, lane.value);
    return html`
      <section
        class=${classMap({ lane: true, closed: !isOpen, under: this.under === lane.key })}
        data-lane=${lane.key}
        aria-label=${lane.label}
      >
        <h2><span class="dot ${tone}"></span>${lane.label}<span class="count">${countOf(lane)}</span></h2>
        ${lane.problem ? problemCard(lane.problem, () => this.#fill(lane)) : nothing}
        ${lane.rows || lane.problem ? nothing : html`<div class="skeleton" aria-hidden="true"><i></i><i></i></div>`}
        <ul>
          ${repeat(
            lane.rows ?? [],
            (row) => row.id,
            (row) => this.#card(lane, row),
          )}
        </ul>
        ${lane.rows?.length === 0 ? html`<p class="faint nothing-here">Nothing here</p>` : nothing}
        ${lane.next ? html`<button class="button small" @click=${() => this.#fill(lane)}>Load more</button>` : nothing}
      </section>
    `;
  }

  #card(lane, row) {
    const title = titleOf(this.entity, row);
    const keys = this.#isMovable ? "Shift+ArrowLeft Shift+ArrowRight" : nothing;
    const details = this.#details.filter(({ name }) => !isNothing(row[name]) && row[name] !== false);
    return html`
      <li
        class="card"
        data-id=${row.id}
        @pointerdown=${(event) => this.#press(event, lane, row)}
        @keydown=${(event) => this.#key(event, lane, row)}
      >
        <div class="card-head">
          ${this.#isMovable ? html`<span class="grip" aria-hidden="true">${icon("grip")}</span>` : nothing}
          <a href=${rowHref(this.entity, row.id)} draggable="false" aria-keyshortcuts=${keys}>${title}</a>
          ${this.#isMovable ? this.#moveButton(title, (event) => this.#choose(event, lane, row)) : nothing}
        </div>
        ${details.length ? html`<dl>${details.slice(0, DETAILS).map((field) => this.#detail(field, row))}</dl>` : nothing}
      </li>
    `;
  }

  #moveButton(title, choose) {
    return html`<button class="bare" aria-label="Move ${title}" aria-haspopup="menu" @click=${choose}>
      ${icon("move")}
    </button>`;
  }

  #detail(field, row) {
    return html`<div>
      <dt>${field.label}</dt>
      <dd>${showValue(this.entity, field, row)}</dd>
    </div>`;
  }

  #menu() {
    const { lane, row } = this.chosen ?? {};
    const targets = row ? this.lanes.filter((each) => each !== lane && this.#takes({ lane, row }, each)) : [];
    return html`
      <div class="menu" popover role="menu" aria-label="Move to" @keydown=${this.#menuKey}>
        ${targets.map((target) => html`<button role="menuitem" @click=${() => this.#pick(target)}>${target.label}</button>`)}
        ${row && !targets.length ? html`<button role="menuitem" aria-disabled="true" @click=${this.#hideMenu}>Nowhere to go from ${lane.label}</button>` : nothing}
      </div>
    `;
  }

  get #isMovable() {
    return this.#field.readonly
      ? this.entity.actions.some((action) => this.#isStep(action))
      : may("update", this.entity);
  }

  /** An endpoint that does nothing but set this field moves cards too, where the field itself cannot be written. */
  #isStep(action) {
    return (
      action.onRow &&
      mayRun(action) &&
      !action.body.length &&
      action.sets.length === 1 &&
      action.sets[0].field === this.#field.name
    );
  }

  #stepTo(lane) {
    return this.entity.actions.find((action) => this.#isStep(action) && action.sets[0].value === lane.value);
  }

  #takes({ lane: from, row }, lane) {
    if (this.#field.readonly && lane.key !== from.key && !this.#stepTo(lane)) return false;
    return canMove(this.entity, this.#field.name, row[this.#field.name], lane.value);
  }

  #press(event, lane, row) {
    if (!this.#isMovable || event.target.closest("button")) return;
    dragCard(event, event.currentTarget, {
      over: (element) => {
        this.lifted = element ? { lane, row } : null;
        this.under = element?.dataset.lane ?? null;
      },
      drop: (element) =>
        this.#move(
          row,
          lane,
          this.lanes.find(({ key }) => key === element.dataset.lane),
        ),
    });
  }

  #key(event, lane, row) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !event.shiftKey || !this.#isMovable) return;
    event.preventDefault();
    const at = this.lanes.indexOf(lane);
    const ahead = step < 0 ? this.lanes.slice(0, at).reverse() : this.lanes.slice(at + 1);
    const target = ahead.find((each) => this.#takes({ lane, row }, each));
    if (target) this.#move(row, lane, target, { focus: true });
    else this.said = `${titleOf(this.entity, row)} cannot move that way.`;
  }

  async #choose(event, lane, row) {
    const { left, bottom } = event.currentTarget.getBoundingClientRect();
    this.chosen = { lane, row };
    await this.updateComplete;
    const menu = this.querySelector(".menu");
    menu.showPopover();
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - menu.offsetHeight - 8))}px`;
    menu.querySelector("button").focus();
  }

  #menuKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...event.currentTarget.children];
    items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
  }

  #hideMenu() {
    this.querySelector(".menu").hidePopover();
  }

  #pick(target) {
    const { lane, row } = this.chosen;
    this.#hideMenu();
    this.#move(row, lane, target, { focus: true });
  }

  /** Shows the move at once, and takes it back when the service refuses. */
  async #move(row, from, to, { focus = false } = {}) {
    if (to.key === from.key) return;
    const title = titleOf(this.entity, row);
    if (!this.#takes({ lane: from, row }, to)) {
      toast(`${title} cannot go from ${from.label} to ${to.label}.`, { tone: "bad" });
      return;
    }
    this.#place({ ...row, [this.#field.name]: to.value }, from.key, to.key);
    this.said = `${title} moved to ${to.label}.`;
    if (focus) this.#focus(row);
    try {
      const moved = await this.#send(row, to);
      this.#change(to.key, (lane) => ({
        ...lane,
        rows: lane.rows.map((each) => (each.id === row.id ? moved : each)),
      }));
    } catch (problem) {
      this.#place(row, to.key, from.key);
      this.said = "";
      if (focus) this.#focus(row);
      toast(`${title} stays in ${from.label}. ${problem.message}`, { tone: "bad" });
    }
  }

  async #send(row, to) {
    if (!this.#field.readonly) return changeRow(this.entity, row.id, { [this.#field.name]: to.value });
    const answer = await runAction(this.#stepTo(to), row.id);
    return { ...row, [this.#field.name]: to.value, ...answer };
  }

  #place(row, from, to) {
    this.#change(from, (lane) => without(lane, row));
    this.#change(to, (lane) => withFirst(lane, row));
  }

  async #focus(row) {
    await this.updateComplete;
    this.querySelector(`[data-id="${row.id}"] a`)?.focus();
  }
}

customElements.define("board-page", BoardPage);
