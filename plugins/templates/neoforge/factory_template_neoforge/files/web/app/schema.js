/** Questions about the model: what an entity looks like, what may happen to a row, and where its pages are. */
import { model } from "../model.js";
import { session } from "./session.js";

const BUILT_IN = ["created_at", "updated_at"].map((name) => ({
  name,
  label: name === "created_at" ? "Created" : "Updated",
  kind: "datetime",
  readonly: true,
  values: [],
}));

export const entityNamed = (name) => model.entities.find((entity) => entity.name === name);
export const entityAt = (key) => model.entities.find((entity) => entity.key === key);
export const viewAt = (key) => model.views.find((view) => view.key === key);
export const fieldNamed = (entity, name) =>
  [...entity.fields, ...BUILT_IN].find((field) => field.name === name);
export const fieldsNamed = (entity, names) => names.map((name) => fieldNamed(entity, name)).filter(Boolean);

/** "Order line" inside a sentence; words that start in capitals, such as "URL", stay. */
export const inSentence = (title) =>
  /^[A-Z]{2}/.test(title) ? title : title[0].toLowerCase() + title.slice(1);

/** What a row is called. Names beat ids, but a row without a name still needs one. */
export function titleOf(entity, row) {
  const title = entity.titleField && row[entity.titleField];
  return title ? String(title) : `${entity.title} ${String(row.id).slice(0, 8)}`;
}

export const labelOfValue = (field, value) =>
  field.values.find((each) => each.value === value)?.label ?? String(value);

/** Whether the signed-in role may `read`, `create`, `update` or `delete` rows of the entity. The service decides. */
export const may = (verb, entity) => allows(entity.access[verb]);
export const mayRun = (action) => allows(action.roles);
const allows = (roles) => model.roles.length === 0 || !session.role || roles.includes(session.role);

export const readableEntities = () => model.entities.filter((entity) => may("read", entity));
export const readableViews = () => model.views.filter((view) => may("read", entityNamed(view.entity)));

const machineOf = (entity, field) => entity.states.find((machine) => machine.field === field);
export const hasStates = (entity, field) => Boolean(machineOf(entity, field));

/** The values a field may change to from `value`, or null when any will do. */
export function movesFrom(entity, field, value) {
  const machine = machineOf(entity, field);
  return machine ? (machine.moves.find((move) => move.from === value)?.to ?? []) : null;
}

export function canMove(entity, field, from, to) {
  const moves = movesFrom(entity, field, from);
  return from === to || moves === null || moves.includes(to);
}

/** Colour carries meaning only where there is a life cycle: where it starts, is under way, and ends. */
export function toneOf(entity, field, value) {
  const machine = machineOf(entity, field);
  if (!machine) return "plain";
  if (value === machine.initial) return "start";
  return movesFrom(entity, field, value).length ? "going" : "ended";
}

/** Whether the row's state lets the action set what it sets. */
export const fits = (action, entity, row) =>
  action.sets.every(
    ({ field, value }) => canMove(entity, field, row[field], value) && !alreadySet(entity, row, field, value),
  );
const alreadySet = (entity, row, field, value) => hasStates(entity, field) && row[field] === value;

const page = (name, ...parts) => `#/${[name, ...parts.map(encodeURIComponent)].join("/")}`;
const withQuery = (href, query) => {
  const text = new URLSearchParams(query ?? {}).toString();
  return text ? `${href}?${text}` : href;
};
export const homeHref = "#/";
export const listHref = (entity, query) => withQuery(page("list", entity.key), query);
export const boardHref = (entity) => page("board", entity.key);
export const viewHref = (view) => page("view", view.key);
export const newHref = (entity, query) => withQuery(page("new", entity.key), query);
export const rowHref = (entity, id) => page("row", entity.key, id);
export const editHref = (entity, id, query) => withQuery(page("edit", entity.key, id), query);
