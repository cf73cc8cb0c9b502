/** What other rows are called, so a reference can be shown as a name. Fetched afresh with every page of rows. */
import { getRow, listRows } from "./api.js";
import { entityNamed, may, titleOf } from "./schema.js";

const AT_ONCE = 50;
const known = new Map();

const keyOf = (entity, id) => `${entity.name}/${id}`;

export const nameOf = (entity, id) =>
  known.get(keyOf(entity, id)) ?? `${entity.title} ${String(id).slice(0, 8)}`;
export const remember = (entity, row) => known.set(keyOf(entity, row.id), titleOf(entity, row));

/** Learns the names of all rows that `rows` refer to through `fields`. A name that cannot be had is no failure. */
export async function learnNames(fields, rows) {
  const wanted = new Map();
  for (const field of fields) {
    const entity = field.target && entityNamed(field.target);
    if (!entity || !may("read", entity)) continue;
    const ids = wanted.get(entity) ?? new Set();
    for (const row of rows) for (const id of [row[field.name] ?? []].flat()) ids.add(id);
    wanted.set(entity, ids);
  }
  await Promise.all([...wanted].map(([entity, ids]) => learn(entity, [...ids])));
}

async function learn(entity, ids) {
  try {
    if (ids.length === 1) remember(entity, await getRow(entity, ids[0]));
    for (let from = 0; ids.length > 1 && from < ids.length; from += AT_ONCE) {
      const query = { id_in: ids.slice(from, from + AT_ONCE).join(","), limit: AT_ONCE };
      for (const row of (await listRows(entity, query)).items) remember(entity, row);
    }
  } catch {
    // The rows themselves are still worth showing.
  }
}
