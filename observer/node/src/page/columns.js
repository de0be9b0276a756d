// The columns of the table. columns.json says what each is called, which figure of a row it shows and how
// wide it is, for this page and for the table in a terminal; here is how each form of them is written.

import table from './columns.json.js';
import * as format from './format.js';

/** Why a row needs attention, shortly. */
export const needs = (row) => row.attention.map(({ why }) => why.replaceAll('_', ' ')).join(', ');

const figure = (text) => ({ of: (row, { field }) => row[field], text, numeric: true });

const word = (of) => ({ of, text: (value) => value || '', numeric: false });

const FORMATS = {
  name: { ...word((row, { field }) => row[field] || row.process), link: true },
  text: word((row, { field, longest }) => row[field].slice(0, longest)),
  versions: word((row) => row.versions.map((version) => version.replace(/^go/, '')).join(', ')),
  attention: {
    ...word(needs),
    // The most reasons first.
    order: (row) => row.attention.length,
    long: (row) => row.attention.map(({ text }) => text).join('; '),
    warns: true,
  },
  pid: { of: (row) => row.processes[0]?.pid, text: (pid) => String(pid ?? ''), numeric: true },
  count: figure(format.count),
  rate: figure(format.rate),
  duration: figure(format.duration),
  bytes: figure(format.bytes),
  share: figure(format.percent),
  coverage: {
    of: (row) => row.covered / (row.coverable || 1),
    text: (_, row) => (row.covered === row.coverable ? 'full' : `${row.covered} of ${row.coverable}`),
    numeric: true,
  },
};

/** Parts of a whole that are drawn beside a figure. */
const BARS = { heap: (row) => (row.next_gc_bytes ? row.heap_bytes / row.next_gc_bytes : 0) };

const column = (said) => {
  const form = FORMATS[said.format];
  const of = (row) => form.of(row, said);
  const [width, slim] = said.page;
  return {
    ...said,
    ...form,
    of,
    text: (row) => form.text(of(row), row),
    label: said.title,
    title: said.tip,
    bar: BARS[said.id],
    width,
    narrow: slim,
  };
};

/** For containers of pods, or for processes. */
export const columns = (kubernetes) =>
  table.columns.filter(({ rows }) => rows !== (kubernetes ? 'processes' : 'containers')).map(column);

/** The columns that fit, in their order. */
export function fitting(all, width) {
  let left = width;
  const kept = new Set();
  for (const one of [...all].sort((a, b) => a.rank - b.rank)) {
    const room = width < table.narrow.page ? one.narrow : one.width;
    if (kept.size > 0 && room > left) break;
    left -= room;
    kept.add(one);
  }
  return all.filter((one) => kept.has(one));
}
