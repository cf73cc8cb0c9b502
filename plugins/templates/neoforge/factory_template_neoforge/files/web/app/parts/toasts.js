/** Short messages about what just happened elsewhere on the page. */
import { html, nothing, repeat } from "../../vendor/lit.js";
import { onRoute } from "../router.js";
import { icon } from "./icons.js";
import { Part } from "./part.js";

const STAYS = 6000;
let list = null;
let count = 0;

/** `action` is `{label, run}`. A `bad` toast stays until it is closed or its page is left. */
export function toast(message, { tone = "good", action = null } = {}) {
  list?.add({ id: ++count, message, tone, action });
}

class ToastList extends Part {
  static properties = { toasts: { state: true } };

  constructor() {
    super();
    this.toasts = [];
  }

  connectedCallback() {
    super.connectedCallback();
    list = this;
    onRoute(() => {
      this.toasts = this.toasts.filter(({ tone }) => tone !== "bad");
    });
  }

  add(toastShown) {
    this.toasts = [...this.toasts.slice(-2), toastShown];
    if (toastShown.tone !== "bad") this.#closeLater(toastShown.id);
  }

  render() {
    return html`
      <div class="toasts" role="status" aria-live="polite">
        ${repeat(
          this.toasts,
          (each) => each.id,
          (each) => this.#toast(each),
        )}
      </div>
    `;
  }

  #toast({ id, message, tone, action }) {
    return html`
      <div class="toast ${tone}" data-tone=${tone}>
        ${icon(tone === "bad" ? "alert" : "check")}
        <p>${message}</p>
        ${action ? html`<button class="link" @click=${() => this.#act(id, action)}>${action.label}</button>` : nothing}
        <button class="bare" aria-label="Close message" @click=${() => this.#close(id)}>
          ${icon("close")}
        </button>
      </div>
    `;
  }

  /** A message under the pointer or holding the focus is being read, and waits. */
  #closeLater(id) {
    setTimeout(() => {
      if (this.querySelector(".toasts:hover, .toasts:focus-within")) this.#closeLater(id);
      else this.#close(id);
    }, STAYS);
  }

  #act(id, action) {
    this.#close(id);
    action.run();
  }

  #close(id) {
    this.toasts = this.toasts.filter((each) => each.id !== id);
  }
}

customElements.define("toast-list", ToastList);
