import { html, nothing } from "../../vendor/lit.js";
import { model } from "../../model.js";
import { signIn } from "../api.js";
import { Part } from "../parts/part.js";
import { session } from "../session.js";

class SignInPage extends Part {
  static properties = { problem: { state: true }, busy: { state: true } };

  render() {
    const said = this.problem ?? (session.expired ? "Your session has ended. Please sign in again." : "");
    return html`
      <form class="card sign-in" @submit=${this.#submit}>
        <img src="icon.svg" alt="" width="44" height="44" />
        <h1 tabindex="-1">Sign in to ${model.name}</h1>
        ${said ? html`<p class="notice bad" role="alert">${said}</p>` : nothing}
        <div class="field">
          <label for="email">Email</label
          ><input id="email" name="email" type="email" autocomplete="username" required />
        </div>
        <div class="field">
          <label for="password">Password</label>
          <input id="password" name="password" type="password" autocomplete="current-password" required />
        </div>
        <button class="button primary" ?disabled=${this.busy}>
          ${this.busy ? "Signing in…" : "Sign in"}
        </button>
      </form>
    `;
  }

  async #submit(event) {
    event.preventDefault();
    const { email, password } = Object.fromEntries(new FormData(event.target));
    this.busy = true;
    try {
      await signIn(email, password);
    } catch (problem) {
      this.problem = [401, 422].includes(problem.status) ? "Email or password is wrong." : problem.message;
      this.querySelector("#password").select();
    }
    this.busy = false;
  }
}

customElements.define("sign-in-page", SignInPage);
