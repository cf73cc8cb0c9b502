import { html } from "../../vendor/lit.js";
import { icon } from "./icons.js";
import { Part } from "./part.js";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

/** Light or dark: the system's choice until the person makes one. */
class ThemeSwitch extends Part {
  #redraw = () => this.requestUpdate();

  connectedCallback() {
    super.connectedCallback();
    system.addEventListener("change", this.#redraw);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    system.removeEventListener("change", this.#redraw);
  }

  get #isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }

  render() {
    const other = this.#isDark ? "light" : "dark";
    return html`<button class="bare" aria-label="Use the ${other} theme" @click=${() => this.#use(other)}>
      ${icon(this.#isDark ? "sun" : "moon")}
    </button>`;
  }

  #use(theme) {
    root.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    this.requestUpdate();
  }
}

customElements.define("theme-switch", ThemeSwitch);
