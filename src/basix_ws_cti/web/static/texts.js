// Texts of the page in the reader's language, from ./texts.

let texts = {};

export async function loadTexts(lang) {
  const response = await fetch(`./texts?lang=${lang}`, { cache: "no-cache" });
  if (!response.ok) {
    throw new Error(`texts: ${response.status}`);
  }
  texts = await response.json();
}

// Return a text, with values in place of {name}.
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
