/** Makes a row or changes one. The service has the last word; its messages land at the fields they are about. */
import { html, nothing } from "../../vendor/lit.js";
import { changeRow, createRow, getRow } from "../api.js";
import { draftOf, isEmpty, isSame, valueOf } from "../inputs.js";
import { Loading } from "../loading.js";
import { problemCard, skeleton } from "../parts/buttons.js";
import { confirm } from "../parts/dialogs.js";
import { fieldControl } from "../parts/fields.js";
import { crumb } from "../parts/links.js";
import { Part } from "../parts/part.js";
import { toast } from "../parts/toasts.js";
import { go, guardLeaving } from "../router.js";
import { fieldsNamed, hasStates, inSentence, listHref, rowHref, titleOf, viewAt } from "../schema.js";

class FormPage extends Part {
  static properties = {
    entity: {},
    rowId: {},
    query: {},
    drafts: { state: true },
    errors: { state: true },
    general: { state: true },
    saving: { state: true },
  };

  #loading = new Loading(this);
  #first = new Map();
  #release = null;
  #warn = (event) => this.#isChanged && event.preventDefault();

  connectedCallback() {
    super.connectedCallback();
    this.errors = new Map();
    this.general = [];
    addEventListener("beforeunload", this.#warn);
    this.#load();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("beforeunload", this.#warn);
    this.#release?.();
  }

  get #row() {
    return this.#loading.value;
  }

  /** A new row starts in its first state, so there is nothing to choose. */
  get #fields() {
    const form = viewAt(this.query.get("view"))?.form ?? [];
    const chosen = form.length ? fieldsNamed(this.entity, form) : this.entity.fields;
    return chosen.filter((field) => !field.readonly && (this.rowId || !hasStates(this.entity, field.name)));
  }

  get #isChanged() {
    return this.#fields.some((field) => !isSame(this.drafts?.get(field.name), this.#first.get(field.name)));
  }

  #load() {
    return this.#loading.run(async () => {
      const row = this.rowId ? await getRow(this.entity, this.rowId) : null;
      this.#first = new Map(this.#fields.map((field) => [field.name, draftOf(field, row)]));
      this.drafts = new Map(this.#first);
      if (!row) this.#prefill();
      this.#release = guardLeaving(() => this.#mayLeave());
      return row;
    });
  }

  #prefill() {
    for (const field of this.#fields) {
      const given = this.query.get(field.name);
      if (given === null) continue;
      const draft = { many: [given], bool: field.optional ? given : given === "true" }[field.kind] ?? given;
      this.drafts.set(field.name, draft);
    }
  }

  async #mayLeave() {
    if (!this.#isChanged || this.saving) return true;
    return confirm({
      title: "Leave without saving?",
      text: "What you changed on this page will be lost.",
      verb: "Leave",
      keep: "Stay",
      danger: true,
    });
  }

  render() {
    const { entity } = this;
    const title = this.rowId
      ? `Edit ${this.#row ? titleOf(entity, this.#row) : inSentence(entity.title)}`
      : `New ${inSentence(entity.title)}`;
    const back = this.rowId ? rowHref(entity, this.rowId) : listHref(entity);
    return html`
      ${crumb(back, this.rowId ? "Back" : entity.plural)}
      <header class="head"><h1 tabindex="-1">${title}</h1></header>
      ${this.#loading.problem ? problemCard(this.#loading.problem, () => this.#load()) : this.#form(back)}
    `;
  }

  #form(back) {
    if (!this.drafts || this.#loading.busy) return skeleton;
    return html`
      <form class="card form" novalidate @submit=${this.#submit} @keydown=${this.#hurry}>
        <div class="fields">${this.#fields.map((field, index) => this.#control(field, index))}</div>
        ${this.general.map((text) => html`<p class="notice bad" role="alert" tabindex="-1">${text}</p>`)}
        <div class="buttons">
          <button class="button primary" ?disabled=${this.saving}>${this.saving ? "Saving…" : "Save"}</button>
          <a class="button" href=${back}>Cancel</a>
        </div>
      </form>
    `;
  }

  #control(field, index) {
    return fieldControl(field, {
      id: `field-${index}`,
      draft: this.drafts.get(field.name),
      error: this.errors.get(field.name),
      entity: this.entity,
      row: this.#row,
      onInput: (draft) => {
        this.drafts = new Map(this.drafts).set(field.name, draft);
      },
    });
  }

  #hurry(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
  }

  async #submit(event) {
    event.preventDefault();
    const body = this.#body();
    if (this.errors.size) return this.#showErrors();
    this.saving = true;
    try {
      const row = await this.#send(body);
      this.#release?.();
      toast(`${titleOf(this.entity, row)} is saved.`);
      if (this.isConnected) go(rowHref(this.entity, row.id), { replace: true });
    } catch (problem) {
      this.#take(problem);
    }
    this.saving = false;
    return undefined;
  }

  #send(body) {
    if (!this.rowId) return createRow(this.entity, body);
    return Object.keys(body).length ? changeRow(this.entity, this.rowId, body) : this.#row;
  }

  /** What to send: everything that has a value for a new row, only what changed for an old one. */
  #body() {
    const body = {};
    this.errors = new Map();
    this.general = [];
    for (const field of this.#fields) {
      const draft = this.drafts.get(field.name);
      const isUntouched = isSame(draft, this.#first.get(field.name));
      if (isUntouched && (this.rowId || (isEmpty(draft) && (field.optional || field.hasDefault)))) continue;
      this.#read(field, draft, body);
    }
    return body;
  }

  #read(field, draft, body) {
    const control = this.querySelector(`#field-${this.#fields.indexOf(field)}`);
    if (isEmpty(draft) && field.required) this.errors.set(field.name, "Please fill this in.");
    else if (control.value !== "" && !control.validity.valid)
      this.errors.set(field.name, control.validationMessage);
    if (this.errors.has(field.name)) return;
    try {
      body[field.name] = valueOf(field, draft);
    } catch (error) {
      this.errors.set(field.name, error.message);
    }
  }

  #take(problem) {
    const here = new Set(this.#fields.map((field) => field.name));
    const fieldErrors = problem.errors.filter(({ field }) => here.has(field));
    const others = problem.errors
      .filter(({ field }) => !here.has(field))
      .map(({ field, message }) => (field ? `${field}: ${message}` : message));
    this.errors = new Map(fieldErrors.map(({ field, message }) => [field, message]));
    this.general = fieldErrors.length || others.length ? others : [problem.message];
    if (problem.status === 0)
      this.general = ["Not saved: the service cannot be reached. What you wrote is still here."];
    this.#showErrors();
  }

  async #showErrors() {
    await this.updateComplete;
    this.querySelector("[aria-invalid=true], .notice")?.focus();
  }
}

customElements.define("form-page", FormPage);
