/** Who is signed in. The token lives as long as the tab, and is sent nowhere but to this service. */
import { model } from "../model.js";

const KEY = `${model.slug}.session`;

class Session extends EventTarget {
  #kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  /** Set when the service stopped accepting the token. */
  expired = false;

  get token() {
    return this.#kept?.token ?? null;
  }

  get email() {
    return this.#kept?.email ?? "";
  }

  get role() {
    return this.#kept?.role ?? null;
  }

  get needed() {
    return model.roles.length > 0 && !this.token;
  }

  begin(email, token) {
    this.#keep({ email, token, role: claims(token).role ?? null }, false);
  }

  end({ expired = false } = {}) {
    if (this.#kept) this.#keep(null, expired);
  }

  #keep(kept, expired) {
    this.#kept = kept;
    this.expired = expired;
    if (kept) sessionStorage.setItem(KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(KEY);
    this.dispatchEvent(new Event("change"));
  }
}

/** What a JSON web token says; nothing when it is another kind of token. The service checks it, this only reads. */
function claims(token) {
  try {
    const [, body] = token.split(".");
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (letter) =>
      letter.charCodeAt(0),
    );
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

export const session = new Session();
