// Elements. Text only ever goes in as text.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export const el = (tag, properties = {}, ...children) =>
  fill(document.createElement(tag), properties, children);

export const svg = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

/** Sets attributes that differ from what they were: layout costs, comparing does not. */
export function set(node, properties) {
  for (const [name, value] of Object.entries(properties)) {
    const text = String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/** Changes a text only where it is another. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const clear = (node) => node.replaceChildren();

/** The path of a small line through values; gaps where one is below zero. */
export function sparkline(values, width, height) {
  const known = values.filter((value) => value >= 0);
  const low = Math.min(...known);
  // A little up and down is not to look like a lot.
  const range = Math.max(Math.max(...known) - low, 4, low / 10);
  const step = width / Math.max(values.length - 1, 1);
  let path = '';
  let pen = 'M';
  values.forEach((value, at) => {
    if (value < 0) {
      pen = 'M';
      return;
    }
    const y = height - 1.5 - ((value - low) / range) * (height - 3);
    path += `${pen}${(at * step).toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  });
  return path;
}

/** Copies, also where the page has no secure context. */
export async function copy(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Refused: the old way may still be allowed.
    }
  }
  const area = el('textarea', { 'aria-hidden': 'true', class: 'offscreen' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
