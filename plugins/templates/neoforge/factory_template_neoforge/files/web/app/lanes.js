/** The lanes of a board: one for each value of the field it is grouped by, each a list of its own. */
import { listRows } from "./api.js";
import { entityNamed, titleOf } from "./schema.js";

const MOST = 200;

/** `value` is what a row of the lane holds, `key` the same for the address bar and the DOM. */
const lane = (value, label) => ({
  value,
  key: value === null ? "null" : String(value),
  label,
  rows: null,
  next: null,
  problem: null,
});

export async function lanesOf(entity, field, filters) {
  const lanes = await LANES[field.kind](field);
  if (field.optional) lanes.push(lane(null, `No ${field.label.toLowerCase()}`));
  const only = filters.find(({ key }) => key === field.name);
  return only ? lanes.filter(({ key }) => key === only.value) : lanes;
}

const LANES = {
  bool: () => [lane(false, "No"), lane(true, "Yes")],
  enum: (field) => field.values.map(({ value, label }) => lane(value, label)),
  reference: async (field) => {
    const target = entityNamed(field.target);
    const { items } = await listRows(target, { limit: MOST });
    return items.map((row) => lane(row.id, titleOf(target, row)));
  },
};

/** The lane with its next rows; with a problem instead when they cannot be had. */
export async function filled(each, entity, field, query) {
  try {
    const page = await listRows(entity, { ...query, [field.name]: each.key, cursor: each.next });
    return {
      ...each,
      rows: [...(each.next ? each.rows : []), ...page.items],
      next: page.next,
      problem: null,
    };
  } catch (problem) {
    return { ...each, problem };
  }
}

export const without = (each, row) => ({
  ...each,
  rows: each.rows?.filter(({ id }) => id !== row.id) ?? null,
});
export const withFirst = (each, row) => ({ ...each, rows: [row, ...(without(each, row).rows ?? [])] });
