/** The address after `#` names the page: `#/list/cards?status=todo`. It works wherever the files are served from. */

const listeners = new Set();
let guard = null;
let shown = location.hash;

export function currentRoute() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...parts] = path.split("/").map(decodeURIComponent);
  return { page, parts, query: new URLSearchParams(query), key: path };
}

export function onRoute(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function go(href, { replace = false } = {}) {
  if (!replace) {
    location.hash = href;
    return;
  }
  history.replaceState(null, "", href);
  arrive();
}

/** While a guard stands, leaving the page asks it first; it answers with a promise of true or false. */
export function guardLeaving(ask) {
  guard = ask;
  return () => {
    if (guard === ask) guard = null;
  };
}

async function leave() {
  if (location.hash === shown) return;
  if (guard) {
    const wanted = location.hash;
    history.replaceState(null, "", shown);
    if (!(await guard())) return;
    history.replaceState(null, "", wanted);
  }
  arrive();
}

function arrive() {
  guard = null;
  shown = location.hash;
  for (const listener of listeners) listener(currentRoute());
}

addEventListener("hashchange", leave);
