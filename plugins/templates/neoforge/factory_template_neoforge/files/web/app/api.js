/** The service over HTTP. Every failure is a Problem; nothing else is thrown. */
import { session } from "./session.js";

const ROOT = new URL("..", document.baseURI);
const PAUSES = [300, 1000];

/** An answer that is not 2xx, or none at all (status 0). `errors` are `{field, message}`. */
class Problem extends Error {
  constructor(status, { title = "", detail = "", errors = [] } = {}) {
    super(detail || title || FALLBACK[status] || `The service answered ${status}.`);
    this.status = status;
    this.errors = Array.isArray(errors) ? errors : [];
  }
}

const FALLBACK = {
  0: "The service cannot be reached.",
  403: "Your role may not do this.",
  404: "It does not exist, or no longer.",
  501: "The service cannot do this yet.",
};

class Connection extends EventTarget {
  up = navigator.onLine;

  set(up) {
    if (up === this.up) return;
    this.up = up;
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new Connection();
addEventListener("offline", () => connection.set(false));
addEventListener("online", () => connection.set(true));

export const listRows = (entity, query) => request("GET", entity.path, { query });
export const getRow = (entity, id) => request("GET", rowPath(entity, id));
export const createRow = (entity, body) => request("POST", entity.path, { body });
export const changeRow = (entity, id, body) => request("PATCH", rowPath(entity, id), { body });
export const deleteRow = (entity, id) => request("DELETE", rowPath(entity, id));
export const runAction = (action, id, body) =>
  request(action.method, action.path.replace("{id}", encodeURIComponent(id ?? "")), { body });

export async function signIn(email, password) {
  const { access_token: token } = await request("POST", "/auth/token", { body: { email, password } });
  session.begin(email, token);
}

const rowPath = (entity, id) => `${entity.path}/${encodeURIComponent(id)}`;

async function request(method, path, { query, body } = {}) {
  const url = new URL(path.slice(1), ROOT);
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== "" && value !== undefined && value !== null) url.searchParams.set(key, value);
  }
  const headers = { Accept: "application/json" };
  if (session.token) headers.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await send(url, { method, headers, body: body === undefined ? undefined : write(body) });
  return receive(answer, path);
}

/** Reading is tried again when the network fails; writing is not, since it may have arrived. */
async function send(url, options) {
  const pauses = options.method === "GET" ? [...PAUSES] : [];
  for (;;) {
    try {
      const answer = await fetch(url, options);
      connection.set(true);
      return answer;
    } catch {
      connection.set(false);
      const pause = pauses.shift();
      if (pause === undefined) throw new Problem(0);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

async function receive(answer, path) {
  const text = await answer.text();
  const content = readable(text);
  if (answer.ok) return content;
  if (answer.status === 401 && path !== "/auth/token") session.end({ expired: true });
  throw new Problem(answer.status, content ?? {});
}

function readable(text) {
  try {
    return text ? read(text) : null;
  } catch {
    return null;
  }
}

/** Whole numbers beyond 2^53 stay as their digits, where the browser lets us see them. */
const read = (text) =>
  JSON.parse(text, (_key, value, context) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) ? (context?.source ?? value) : value,
  );

const write = (body) =>
  JSON.stringify(body, (_key, value) =>
    typeof value === "bigint" ? (JSON.rawJSON?.(String(value)) ?? Number(value)) : value,
  );
