// What is typed to filter by: words that some text has to contain, and `column>number`,
// `column:text`. All must hold.

const UNITS = {
  '%': 0.01, ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9,
  b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3, k: 1e3, m: 1e6,
};

function number(text) {
  const found = /^(-?\d+(?:\.\d+)?)\s*([a-zµ%]*)$/i.exec(text);
  if (!found) return NaN;
  const unit = found[2].toLowerCase();
  return Number(found[1]) * (unit ? UNITS[unit] ?? NaN : 1);
}

const COMPARE = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '=': (a, b) => a === b,
};

function term(text, columns) {
  const found = /^([a-z]+)(>=|<=|>|<|=|:)(.+)$/i.exec(text);
  const column = found && columns.find(({ id }) => id === found[1].toLowerCase());
  if (column && found[2] !== ':' && column.numeric) {
    const limit = number(found[3]);
    if (Number.isNaN(limit)) return null;
    const compare = COMPARE[found[2]];
    return (row) => {
      const value = column.of(row);
      return value !== null && value !== undefined && compare(value, limit);
    };
  }
  if (column) {
    const wanted = found[3].toLowerCase();
    return (row) => column.text(row).toLowerCase().includes(wanted);
  }
  const wanted = text.toLowerCase();
  return (row, words) => words(row).includes(wanted);
}

/** A function that tells whether a row is shown, and the words that mean nothing. */
export function filter(text, columns) {
  const words = (row) =>
    [row.namespace, row.pod, row.container, row.process, row.workload ?? '', ...row.versions,
      ...row.processes.map(({ pid }) => String(pid)), ...row.attention.map(({ why }) => why.replaceAll('_', ' '))]
      .join('\n').toLowerCase();
  const terms = [];
  const unknown = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const made = term(word, columns);
    if (made) terms.push(made);
    else unknown.push(word);
  }
  return { shows: (row) => terms.every((holds) => holds(row, words)), unknown };
}
