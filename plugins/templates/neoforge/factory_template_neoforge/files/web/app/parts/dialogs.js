/** Questions that stop the page: a confirmation, the form of an action, or its answer. One at a time. */
import { html, nothing } from "../../vendor/lit.js";
import { draftOf, isEmpty, valueOf } from "../inputs.js";
import { fieldControl } from "./fields.js";
import { Part } from "./part.js";

let host = null;

/** Resolves to true when the person agrees. */
export const confirm = (question) => host.open({ kind: "confirm", ...question });

/** Shows the fields and calls `send` with the body until it succeeds; resolves to its answer, or null when cancelled. */
export const fillIn = (form) => host.open({ kind: "form", ...form });

/** Shows content with a button to close it. */
export const show = (content) => host.open({ kind: "show", ...content });

class DialogHost extends Part {
  static properties = {
    shown: { state: true },
    errors: { state: true },
    general: { state: true },
    busy: { state: true },
  };

  #drafts = new Map();

  connectedCallback() {
    super.connectedCallback();
    host = this;
  }

  async open(shown) {
    this.shown?.answer(null);
    this.#drafts = new Map((shown.fields ?? []).map((field) => [field.name, draftOf(field, null)]));
    this.errors = new Map();
    this.general = "";
    this.busy = false;
    const answered = new Promise((resolve) => {
      this.shown = { ...shown, answer: resolve };
    });
    await this.updateComplete;
    const dialog = this.querySelector("dialog");
    if (!dialog.open) dialog.showModal();
    return answered;
  }

  render() {
    return html`
      <dialog aria-labelledby="dialog-title" @close=${() => this.#answer(null)}>
        ${
          this.shown
            ? html` <form method="dialog" novalidate @submit=${this.#submit}>
                <h2 id="dialog-title">${this.shown.title}</h2>
                ${this.shown.text ? html`<p>${this.shown.text}</p>` : nothing}
                ${this.general ? html`<p class="notice bad" role="alert">${this.general}</p>` : nothing}
                ${this.shown.content ?? nothing}
                ${(this.shown.fields ?? []).map((field, index) => this.#field(field, index))}
                <div class="buttons">${this.#buttons()}</div>
              </form>`
            : nothing
        }
      </dialog>
    `;
  }

  #buttons() {
    const { kind, verb, keep = "Cancel", danger } = this.shown;
    if (kind === "show") return html`<button class="button primary" autofocus>Close</button>`;
    return html`
      <button type="button" class="button" ?autofocus=${danger} @click=${() => this.#answer(null)}>
        ${keep}
      </button>
      <button class="button ${danger ? "danger" : "primary"}" ?disabled=${this.busy}>${verb}</button>
    `;
  }

  #field(field, index) {
    return fieldControl(field, {
      id: `dialog-field-${index}`,
      draft: this.#drafts.get(field.name),
      error: this.errors.get(field.name),
      row: null,
      onInput: (draft) => {
        this.#drafts.set(field.name, draft);
        this.requestUpdate();
      },
    });
  }

  async #submit(event) {
    event.preventDefault();
    if (this.shown.kind !== "form") return this.#answer(this.shown.kind === "confirm");
    const body = this.#body();
    if (this.errors.size) return undefined;
    this.busy = true;
    try {
      return this.#answer(await this.shown.send(body));
    } catch (problem) {
      this.errors = new Map(problem.errors.map(({ field, message }) => [field, message]));
      this.general =
        problem.errors.every(({ field }) => this.#drafts.has(field)) && this.errors.size
          ? ""
          : problem.message;
    }
    this.busy = false;
    return undefined;
  }

  #body() {
    const body = {};
    this.errors = new Map();
    for (const field of this.shown.fields) {
      const draft = this.#drafts.get(field.name);
      try {
        if (isEmpty(draft) && (field.optional || field.hasDefault)) continue;
        if (isEmpty(draft) && field.required) throw new TypeError("Please fill this in.");
        body[field.name] = valueOf(field, draft);
      } catch (error) {
        this.errors.set(field.name, error.message);
      }
    }
    return body;
  }

  #answer(value) {
    const { shown } = this;
    this.shown = null;
    this.querySelector("dialog").close();
    shown?.answer(value);
  }
}

customElements.define("dialog-host", DialogHost);
