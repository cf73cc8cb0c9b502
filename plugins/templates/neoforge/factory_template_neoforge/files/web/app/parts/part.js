import { LitElement } from "../../vendor/lit.js";

/** A component that renders into the page itself: one style sheet, and labels that reach across components. */
export class Part extends LitElement {
  createRenderRoot() {
    return this;
  }
}
