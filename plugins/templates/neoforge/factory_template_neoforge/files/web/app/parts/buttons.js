/** Buttons, and what stands in for rows that are not there (yet). */
import { html } from "../../vendor/lit.js";
import { icon } from "./icons.js";

export const actionButton = (action, run) =>
  html`<button class="button" title=${action.description} @click=${run}>
    ${icon("play")}${action.label}
  </button>`;

/** Why something could not be shown, and the way to try again. */
export const problemCard = (problem, again) => html`
  <div class="card empty" role="alert">
    <p>${problem.message}</p>
    <button class="button" @click=${again}>Try again</button>
  </div>
`;

export const skeleton = html`<div class="card skeleton rows" aria-hidden="true">
  <i></i><i></i><i></i><i></i>
</div>`;
