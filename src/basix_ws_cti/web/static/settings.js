// What the address of the page says: view, language, colours, filters, order.

const MODES = ["tv", "desk", "phone"];
const LANGUAGES = ["en", "ja"];
const THEMES = ["light", "dark"];
const NARROW = "(max-width: 700px)";

function oneOf(values, value, otherwise) {
  return values.includes(value) ? value : otherwise;
}

export function readSettings() {
  const address = new URLSearchParams(location.search);
  const browser = navigator.languages.find((one) => LANGUAGES.includes(one.slice(0, 2)));
  const page = Number.parseInt(address.get("page"), 10);
  return {
    mode: oneOf(MODES, address.get("mode"), matchMedia(NARROW).matches ? "phone" : "desk"),
    lang: oneOf(LANGUAGES, address.get("lang"), browser ? browser.slice(0, 2) : "en"),
    theme: oneOf(THEMES, address.get("theme"), null),
    page: page > 0 ? page : null,
    queues: address.getAll("queue"),
    users: address.getAll("user"),
    sort: oneOf(["state", "longest"], address.get("sort"), "name"),
    sounds: address.getAll("sound").filter((one) => one === "warning" || one === "alarm"),
  };
}

// Return the query of the view, for the server.
export function viewQuery(settings) {
  const query = new URLSearchParams({ lang: settings.lang });
  settings.queues.forEach((one) => query.append("queue", one));
  settings.users.forEach((one) => query.append("user", one));
  return `?${query}`;
}

// Return the address of the page with other values; an empty list or null removes a parameter.
export function addressWith(changes) {
  const address = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    address.delete(name);
    [value ?? []].flat().forEach((one) => address.append(name, one));
  }
  const query = address.toString();
  return query ? `?${query}` : location.pathname;
}

// A wall shows dark colours, which dazzle less; the other views follow the system.
export function applyTheme(settings) {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme =
    settings.theme || (settings.mode === "tv" ? "dark" : system);
  document.documentElement.dataset.mode = settings.mode;
  document.documentElement.lang = settings.lang;
}

export function onLayoutChange(listener) {
  for (const query of [NARROW, "(prefers-color-scheme: dark)"]) {
    matchMedia(query).addEventListener("change", listener);
  }
  addEventListener("popstate", listener);
}
