/** Chooses rows of another entity by typing part of their name: one row, or several shown as chips. */
import { html, live, nothing, repeat } from "../../vendor/lit.js";
import { listRows } from "../api.js";
import { learnNames, nameOf, remember } from "../names.js";
import { entityNamed, inSentence, titleOf } from "../schema.js";
import { icon } from "./icons.js";
import { Part } from "./part.js";

const PAUSE = 200;
const OFFERED = 20;

class RowPicker extends Part {
  static properties = {
    target: {},
    value: {},
    multiple: { type: Boolean },
    clearable: { type: Boolean },
    controlId: {},
    label: {},
    described: {},
    invalid: { type: Boolean },
    typed: { state: true },
    offers: { state: true },
    open: { state: true },
    active: { state: true },
  };

  #pause = 0;
  #turn = 0;

  constructor() {
    super();
    this.typed = null;
    this.offers = [];
    this.open = false;
    this.active = -1;
    this.label = "";
  }

  get #entity() {
    return entityNamed(this.target);
  }

  get #chosen() {
    return this.multiple ? (this.value ?? []) : [];
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.#pause);
  }

  async willUpdate(changed) {
    if (!changed.has("value")) return;
    const field = { name: "value", target: this.target };
    await learnNames([field], [{ value: this.value || [] }]);
    this.requestUpdate();
  }

  render() {
    const shown = this.typed ?? (this.multiple || !this.value ? "" : nameOf(this.#entity, this.value));
    return html`
      <div class="picker" @focusout=${this.#left}>
        ${this.#chips()}
        <div class="picker-line">
          <input
            id=${this.controlId}
            role="combobox"
            autocomplete="off"
            aria-autocomplete="list"
            aria-expanded=${this.open}
            aria-controls="${this.controlId}-offers"
            aria-activedescendant=${this.active < 0 ? nothing : `${this.controlId}-${this.active}`}
            aria-describedby=${this.described ?? nothing}
            aria-invalid=${this.invalid ? "true" : nothing}
            aria-label=${this.label || nothing}
            placeholder="Search ${inSentence(this.#entity.plural)}"
            .value=${live(shown)}
            @input=${(event) => this.#search(event.target.value, PAUSE)}
            @click=${() => this.open || this.#search("", 0)}
            @keydown=${this.#key}
          />
          ${
            this.clearable && this.value && !this.multiple
              ? html`<button
                  type="button"
                  class="bare"
                  aria-label="Clear ${this.label}"
                  @click=${() => this.#choose(null)}
                >
                  ${icon("close")}
                </button>`
              : nothing
          }
        </div>
        ${this.#list()}
      </div>
    `;
  }

  #chips() {
    if (!this.#chosen.length) return nothing;
    return html`
      <ul class="chips">
        ${this.#chosen.map((id) => {
          const name = nameOf(this.#entity, id);
          return html`<li class="chip">
            ${name}<button
              type="button"
              class="bare"
              aria-label="Remove ${name}"
              @click=${() => this.#drop(id)}
            >
              ${icon("close")}
            </button>
          </li>`;
        })}
      </ul>
    `;
  }

  #list() {
    return html`
      <ul
        class="offers"
        role="listbox"
        id="${this.controlId}-offers"
        aria-label=${this.#entity.plural}
        ?hidden=${!this.open}
      >
        ${repeat(
          this.offers,
          (row) => row.id,
          (row, index) => html`
            <li
              role="option"
              id="${this.controlId}-${index}"
              aria-selected=${index === this.active}
              @pointerdown=${(event) => event.preventDefault()}
              @click=${() => this.#choose(row)}
            >
              ${titleOf(this.#entity, row)}
            </li>
          `,
        )}
        ${this.offers.length ? nothing : html`<li role="option" aria-disabled="true" aria-selected="false" class="nothing">Nothing found</li>`}
      </ul>
    `;
  }

  #search(typed, pause) {
    this.typed = typed;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#fetch(typed), pause);
  }

  async #fetch(typed) {
    const turn = ++this.#turn;
    try {
      const { items } = await listRows(this.#entity, { q: typed, limit: OFFERED });
      if (turn !== this.#turn || this.typed === null) return;
      for (const row of items) remember(this.#entity, row);
      this.offers = items.filter((row) => !this.#chosen.includes(row.id));
    } catch {
      this.offers = [];
    }
    this.open = this.typed !== null;
    this.active = typed && this.offers.length ? 0 : -1;
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !this.open) this.#search(this.typed ?? "", 0);
    else if (step) this.active = (this.active + step + this.offers.length) % Math.max(this.offers.length, 1);
    else if (event.key === "Enter" && this.open && this.offers[this.active])
      this.#choose(this.offers[this.active]);
    else if (event.key === "Escape" && this.open) this.#close();
    else if (event.key === "Backspace" && !this.typed && this.#chosen.length) this.#drop(this.#chosen.at(-1));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #left(event) {
    if (!this.contains(event.relatedTarget)) this.#close();
  }

  #close() {
    clearTimeout(this.#pause);
    this.#turn += 1;
    this.typed = null;
    this.open = false;
    this.active = -1;
  }

  #choose(row) {
    this.#close();
    const id = row?.id ?? null;
    this.#tell(this.multiple ? [...this.#chosen, id] : id);
    this.querySelector("input").focus();
  }

  #drop(id) {
    this.#tell(this.#chosen.filter((each) => each !== id));
    this.querySelector("input").focus();
  }

  #tell(value) {
    this.value = value;
    this.dispatchEvent(new CustomEvent("pick", { detail: value, bubbles: true }));
  }
}

customElements.define("row-picker", RowPicker);
