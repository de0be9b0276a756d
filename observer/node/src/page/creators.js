// Who created the goroutines that live: walked when asked, and held against the last look.

import { clear, el } from './dom.js';
import * as format from './format.js';
import { ask } from './stream.js';

/** Processes walked over at one look. */
const MOST = 8;
const looks = new Map();

const place = ({ created_by: by }) => (by ? `${by.function}${by.line ? `:${by.line}` : ''}` : 'not known');

async function walk(pid) {
  for (let turn = 0; ; turn += 1) {
    const answer = await ask(`api/v1/processes/${pid}/goroutines`);
    if (answer.ok) return answer.json();
    const why = (await answer.text()).trim();
    // Another walk is under way: they go one at a time.
    if (answer.status !== 429 || turn === 10) throw new Error(why || `status ${answer.status}`);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
}

function merge(reports) {
  const found = new Map();
  for (const report of reports) {
    for (const creator of report.creators) {
      const at = place(creator);
      const known = found.get(at) ?? { at, runs: creator.runs, count: 0, oldest: null };
      known.count += creator.count;
      if (creator.longest_wait_ns !== null) known.oldest = Math.max(known.oldest ?? 0, creator.longest_wait_ns);
      found.set(at, known);
    }
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}

function change(now, before) {
  if (before === undefined) return '';
  const difference = now - before;
  if (difference === 0) return '±0';
  return difference > 0 ? `+${format.count(difference)}` : `−${format.count(-difference)}`;
}

export class Creators {
  constructor(id) {
    this.id = id;
    this.button = el('button', { type: 'button', onclick: () => this.look() }, 'Look now');
    this.said = el('p', { class: 'muted', role: 'status' },
      'Walks over the goroutines when asked, for half a second at most; the program is not stopped.');
    this.body = el('tbody');
    this.table = el('table', { class: 'plain creators', hidden: true },
      el('caption', { class: 'hidden' }, 'Who created the goroutines that live'),
      el('thead', {}, el('tr', {},
        ...[['Created by', 'word'], ['Live', 'number'], ['Change', 'number'], ['Oldest wait', 'number'], ['Runs', 'word']]
          .map(([text, kind]) => el('th', { scope: 'col', class: kind }, text)))),
      this.body);
    this.element = el('section', { class: 'panel wide', 'aria-labelledby': 'creators-title' },
      el('div', { class: 'panel-head' }, el('h3', { id: 'creators-title' }, 'Top creators of live goroutines'), this.button),
      this.said,
      el('div', { class: 'scroll-x', tabindex: 0, role: 'group', 'aria-label': 'Top creators' }, this.table));
  }

  take(row) {
    this.pids = row.processes.map(({ pid }) => pid);
  }

  async look() {
    this.button.disabled = true;
    try {
      const reports = [];
      for (const pid of (this.pids ?? []).slice(0, MOST)) reports.push(await walk(pid));
      this.show(merge(reports), reports);
    } catch (error) {
      this.said.textContent = `Could not look: ${error.message}`;
    } finally {
      this.button.disabled = false;
      this.button.textContent = 'Look again';
    }
  }

  show(creators, reports) {
    const before = looks.get(this.id);
    clear(this.body);
    this.table.hidden = creators.length === 0;
    for (const { at, runs, count, oldest } of creators) {
      const earlier = before ? before.counts.get(at) ?? 0 : undefined;
      const grew = earlier !== undefined && count > earlier;
      this.body.append(el('tr', { class: grew ? 'grew' : null },
        el('th', { scope: 'row', class: 'word code' }, at),
        el('td', { class: 'number' }, format.count(count)),
        el('td', { class: 'number change' }, change(count, earlier)),
        el('td', { class: 'number' }, oldest === null ? format.UNKNOWN : `≥ ${format.duration(oldest)}`),
        el('td', { class: 'word code' }, runs ? runs.function : format.UNKNOWN)));
    }
    const now = Date.now();
    const cut = reports.some(({ complete }) => !complete) ? ' The walk was cut short: counts are of a part.' : '';
    const since = before ? ` Change is since ${format.clock(before.at)}.` : ' Look again to see what grows.';
    this.said.textContent = `${format.clock(now)}: ${creators.length} ${creators.length === 1 ? 'place' : 'places'}.${since}${cut}`;
    looks.set(this.id, { at: now, counts: new Map(creators.map(({ at, count }) => [at, count])) });
  }
}
