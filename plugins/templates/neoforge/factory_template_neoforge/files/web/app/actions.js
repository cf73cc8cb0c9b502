/** Runs the endpoints of the spec that are more than storing a row. */
import { html } from "../vendor/lit.js";
import { runAction } from "./api.js";
import { formatValue } from "./format.js";
import { confirm, fillIn, show } from "./parts/dialogs.js";
import { toast } from "./parts/toasts.js";
import { entityNamed, fieldNamed, rowHref, titleOf } from "./schema.js";
import { go } from "./router.js";

/** Resolves to true when the service did it. `row` is null for an action on the whole collection. */
export async function perform(action, row) {
  const send = (body) => runAction(action, row?.id, body);
  try {
    const answer = await answerOf(action, send);
    if (answer === null) return false;
    tell(action, answer);
    return true;
  } catch (problem) {
    toast(problem.message, { tone: "bad" });
    return false;
  }
}

/** The service's answer; null when the person changed their mind. */
async function answerOf(action, send) {
  if (action.body.length && action.method !== "GET") {
    return fillIn({
      title: action.label,
      text: action.description,
      fields: action.body,
      verb: action.label,
      send: async (body) => (await send(body)) ?? {},
    });
  }
  if (
    action.method === "DELETE" &&
    !(await confirm({ title: `${action.label}?`, verb: action.label, keep: "Back", danger: true }))
  ) {
    return null;
  }
  return (await send()) ?? {};
}

function tell(action, answer) {
  const entity = entityNamed(action.creates ?? action.returns);
  if (action.method === "GET") {
    show({ title: action.label, content: contentOf(entity, answer) });
    return;
  }
  const created = action.creates && entity && answer.id;
  toast(
    `${action.label}: done.`,
    created
      ? { action: { label: `Open ${titleOf(entity, answer)}`, run: () => go(rowHref(entity, answer.id)) } }
      : {},
  );
}

function contentOf(entity, answer) {
  const rows = Array.isArray(answer) ? answer : (answer.items ?? [answer]);
  if (rows.length === 0) return html`<p>There is nothing to show.</p>`;
  return html`<ul class="answers">
    ${rows.map((row) => html`<li>${entity && row.id ? html`<a href=${rowHref(entity, row.id)}>${titleOf(entity, row)}</a>` : pairs(entity, row)}</li>`)}
  </ul>`;
}

function pairs(entity, row) {
  if (typeof row !== "object" || row === null) return String(row);
  return html`<dl class="pairs">
    ${Object.entries(row).map(([name, value]) => {
      const field = (entity && fieldNamed(entity, name)) ?? {
        kind: typeof value === "object" ? "json" : "text",
      };
      return html`<dt>${field.label ?? name}</dt>
        <dd>${formatValue(field, value)}</dd>`;
    })}
  </dl>`;
}
