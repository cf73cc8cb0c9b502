/** Navigation around the page, and the choice of the page by the address. */
import { html, keyed, nothing } from "../vendor/lit.js";
import { model } from "../model.js";
import { connection } from "./api.js";
import { icon } from "./parts/icons.js";
import { Part } from "./parts/part.js";
import { currentRoute, onRoute } from "./router.js";
import {
  entityAt,
  entityNamed,
  homeHref,
  listHref,
  may,
  readableEntities,
  readableViews,
  viewAt,
  viewHref,
} from "./schema.js";
import { session } from "./session.js";

const PAGES = {
  "": () => ({ title: "Home", page: html`<home-page></home-page>` }),
  list: ({ parts: [key], query }) =>
    onEntity(key, "read", (entity) => ({
      title: entity.plural,
      page: html`<list-page .entity=${entity} .query=${query}></list-page>`,
    })),
  board: ({ parts: [key] }) =>
    onEntity(
      key,
      "read",
      (entity) =>
        entity.groupBy && { title: entity.plural, page: html`<board-page .entity=${entity}></board-page>` },
    ),
  row: ({ parts: [key, id] }) =>
    onEntity(key, "read", (entity) => ({
      title: entity.title,
      page: html`<row-page .entity=${entity} .rowId=${id}></row-page>`,
    })),
  new: ({ parts: [key], query }) =>
    onEntity(key, "create", (entity) => ({
      title: `New ${entity.title}`,
      page: html`<form-page .entity=${entity} .query=${query}></form-page>`,
    })),
  edit: ({ parts: [key, id], query }) =>
    onEntity(key, "update", (entity) => ({
      title: `Edit ${entity.title}`,
      page: html`<form-page .entity=${entity} .rowId=${id} .query=${query}></form-page>`,
    })),
  view: ({ parts: [key], query }) => {
    const view = viewAt(key);
    return (
      view &&
      onEntity(entityNamed(view.entity).key, "read", (entity) => ({
        title: view.name,
        page:
          view.kind === "board"
            ? html`<board-page .entity=${entity} .view=${view}></board-page>`
            : html`<list-page .entity=${entity} .view=${view} .query=${query}></list-page>`,
      }))
    );
  },
};

const onEntity = (key, verb, show) => {
  const entity = entityAt(key);
  return entity && may(verb, entity) ? show(entity) : null;
};

const NOT_FOUND = {
  title: "Not found",
  page: html`<header class="head"><h1 tabindex="-1">There is no such page</h1></header>
    <p><a href=${homeHref}>Go to the start</a></p>`,
};

class AppShell extends Part {
  static properties = { route: { state: true }, navOpen: { state: true } };

  #forget = [];
  #title = "";

  connectedCallback() {
    super.connectedCallback();
    this.route = currentRoute();
    const redraw = () => this.requestUpdate();
    const restart = () => this.#announce();
    session.addEventListener("change", restart);
    connection.addEventListener("change", redraw);
    this.#forget = [
      onRoute((route) => this.#arrive(route)),
      () => session.removeEventListener("change", restart),
      () => connection.removeEventListener("change", redraw),
    ];
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    for (const forget of this.#forget) forget();
  }

  #arrive(route) {
    const isElsewhere = route.key !== this.route.key;
    this.route = route;
    this.navOpen = false;
    if (isElsewhere) {
      this.#title = "";
      this.#announce();
    }
  }

  /** A new page takes the focus, so that it is read out and Tab starts there. */
  async #announce() {
    this.requestUpdate();
    scrollTo(0, 0);
    await this.updateComplete;
    await this.querySelector("main > *")?.updateComplete;
    this.querySelector("h1")?.focus({ preventScroll: true });
  }

  render() {
    if (session.needed) {
      this.#call("Sign in");
      return html`${this.#offline()}
        <main class="alone"><sign-in-page></sign-in-page></main>`;
    }
    const { title, page } = PAGES[this.route.page]?.(this.route) || NOT_FOUND;
    this.#call(title);
    return html`
      <a class="skip" href="#main" @click=${this.#skip}>Skip to content</a>
      ${this.#offline()}
      <div class="app">
        ${this.#top()}
        <div class="side ${this.navOpen ? "open" : ""}" id="side">${this.#nav()}</div>
        <main id="main" tabindex="-1">${keyed(`${this.route.key} ${session.role}`, page)}</main>
      </div>
      <toast-list></toast-list>
      <dialog-host></dialog-host>
    `;
  }

  /** A page may find a better title once it knows its row, so the same title is not set twice. */
  #call(title) {
    if (title === this.#title) return;
    this.#title = title;
    document.title = `${title} · ${model.name}`;
  }

  #offline() {
    return connection.up
      ? nothing
      : html`<p class="offline" role="status">
          ${icon("alert")}No connection. What you see may be old; nothing can be saved now.
        </p>`;
  }

  #top() {
    return html`
      <header class="top">
        <button
          class="bare burger"
          aria-expanded=${Boolean(this.navOpen)}
          aria-controls="side"
          aria-label="Menu"
          @click=${() => (this.navOpen = !this.navOpen)}
        >
          ${icon("menu")}
        </button>
        <a class="brand" href=${homeHref}
          ><img src="icon.svg" alt="" width="26" height="26" />${model.name}</a
        >
        <div class="top-end">${session.token ? this.#account() : nothing}<theme-switch></theme-switch></div>
      </header>
    `;
  }

  #account() {
    return html`
      <span class="who" title=${session.email}
        >${session.email}${session.role ? html`<small>${session.role}</small>` : nothing}</span
      >
      <button class="bare" aria-label="Sign out" @click=${() => session.end()}>${icon("out")}</button>
    `;
  }

  #nav() {
    const views = readableViews();
    return html`
      <nav aria-label="Pages">
        <ul>
          ${this.#item(homeHref, "home", "Home", this.route.page === "")}
        </ul>
        ${
          views.length
            ? html`<h2 id="nav-views">Views</h2>
                <ul aria-labelledby="nav-views">
                  ${views.map((view) => this.#viewItem(view))}
                </ul>`
            : nothing
        }
        <h2 id="nav-data">Data</h2>
        <ul aria-labelledby="nav-data">
          ${readableEntities().map((entity) => this.#entityItem(entity))}
        </ul>
      </nav>
    `;
  }

  #viewItem(view) {
    const { page, parts } = this.route;
    return this.#item(viewHref(view), view.kind, view.name, page === "view" && parts[0] === view.key);
  }

  #entityItem(entity) {
    const { page, parts } = this.route;
    return this.#item(listHref(entity), "list", entity.plural, page !== "view" && parts[0] === entity.key);
  }

  #item(href, drawing, text, isHere) {
    return html`<li>
      <a href=${href} aria-current=${isHere ? "page" : nothing}>${icon(drawing)}<span>${text}</span></a>
    </li>`;
  }

  #skip(event) {
    event.preventDefault();
    this.querySelector("main").focus();
  }
}

customElements.define("app-shell", AppShell);
