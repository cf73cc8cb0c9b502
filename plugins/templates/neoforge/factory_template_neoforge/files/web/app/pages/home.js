/** What there is, how much of it, and what happened last. */
import { html, nothing } from "../../vendor/lit.js";
import { model } from "../../model.js";
import { listRows } from "../api.js";
import { ago } from "../format.js";
import { icon } from "../parts/icons.js";
import { Part } from "../parts/part.js";
import {
  entityNamed,
  inSentence,
  listHref,
  may,
  newHref,
  readableEntities,
  readableViews,
  rowHref,
  titleOf,
  viewHref,
} from "../schema.js";

const COUNTED = 100;
const LATEST = 3;

class HomePage extends Part {
  static properties = { counted: { state: true } };

  constructor() {
    super();
    this.counted = new Map();
  }

  connectedCallback() {
    super.connectedCallback();
    for (const entity of readableEntities()) this.#count(entity);
  }

  async #count(entity) {
    let counted;
    try {
      const { items, next } = await listRows(entity, { sort: "-created_at", limit: COUNTED });
      counted = { number: `${items.length}${next ? "+" : ""}`, latest: items.slice(0, LATEST) };
    } catch (problem) {
      counted = { number: NaN, latest: [], problem };
    }
    this.counted = new Map(this.counted).set(entity.name, counted);
  }

  render() {
    const views = readableViews();
    return html`
      <header class="head">
        <div>
          <h1 tabindex="-1">${model.name}</h1>
          ${model.description ? html`<p>${model.description}</p>` : nothing}
        </div>
      </header>
      ${
        views.length
          ? html` <section aria-labelledby="views">
              <h2 id="views">Views</h2>
              <ul class="tiles slim">
                ${views.map((view) => this.#view(view))}
              </ul>
            </section>`
          : nothing
      }
      <section aria-labelledby="entities">
        <h2 id="entities" class=${views.length ? "" : "unseen"}>Everything</h2>
        <ul class="tiles">
          ${readableEntities().map((entity) => this.#entity(entity))}
        </ul>
      </section>
    `;
  }

  #view(view) {
    return html`
      <li>
        <a class="card tile view" href=${viewHref(view)}>
          ${icon(view.kind)}<span><b>${view.name}</b><small>${entityNamed(view.entity).plural}</small></span>
        </a>
      </li>
    `;
  }

  #entity(entity) {
    const counted = this.counted.get(entity.name);
    return html`
      <li class="card tile">
        <div class="tile-head">
          <h3><a href=${listHref(entity)}>${entity.plural}</a></h3>
          ${counted && !counted.problem ? html`<b class="count" aria-label="${counted.number} in all">${counted.number}</b>` : nothing}
          ${
            may("create", entity)
              ? html`<a class="bare" href=${newHref(entity)} aria-label="New ${inSentence(entity.title)}"
                  >${icon("plus")}</a
                >`
              : nothing
          }
        </div>
        ${this.#latest(entity, counted)}
      </li>
    `;
  }

  #latest(entity, counted) {
    if (!counted) return html`<div class="skeleton" aria-hidden="true"><i></i><i></i><i></i></div>`;
    if (counted.problem) return html`<p class="faint">${counted.problem.message}</p>`;
    if (!counted.latest.length) return html`<p class="faint">No ${inSentence(entity.plural)} yet.</p>`;
    return html`
      <ul class="latest">
        ${counted.latest.map(
          (row) => html`
            <li>
              <a href=${rowHref(entity, row.id)}>${titleOf(entity, row)}</a
              ><time datetime=${row.created_at}>${ago(row.created_at)}</time>
            </li>
          `,
        )}
      </ul>
    `;
  }
}

customElements.define("home-page", HomePage);
