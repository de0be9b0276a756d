// Every collection with its trigger, its two stops and the marking between them, and every other
// stop of the world with its reason.

import { clear, el, say, set, svg } from './dom.js';
import { clock, nanoseconds } from './format.js';

const LANE = 22;
const LABELS = 132;
const SPANS = [['10 s', 10e3], ['1 min', 60e3], ['5 min', 300e3]];
const LANES = ['Trigger', 'Sweep termination', 'Concurrent mark', 'Mark termination', 'Other stops'];
const WORDS = {
  gc: 'both stops of a collection',
  gc_sweep_termination: 'sweep termination',
  gc_mark_termination: 'mark termination',
  read_mem_stats: 'ReadMemStats',
  gomaxprocs: 'GOMAXPROCS',
};
const TRIGGERS = {
  heap: 'the heap reached its goal', time: 'two minutes had passed', forced: 'runtime.GC', unknown: 'trigger not seen',
};

export const reason = (name) => WORDS[name] ?? name.replaceAll('_', ' ');
const collector = (stop) => stop.reason.startsWith('gc');
const milliseconds = (ns) => Number(ns / 1000n) / 1000;

/** Stops as they come from the API, with times to draw by. */
export const prepare = (stop) => {
  const began = BigInt(stop.began_ns);
  return { ...stop, began, at: milliseconds(began), ended: began + BigInt(stop.pause_ns) };
};

/** Cycles of the collector, and the other stops, oldest first. */
export function cycles(stops) {
  const open = new Map();
  const found = [];
  for (const stop of stops) {
    if (!collector(stop)) {
      found.push({ at: stop.at, pid: stop.pid, other: stop });
      continue;
    }
    if (stop.reason !== 'gc_mark_termination') {
      const cycle = { at: stop.at, pid: stop.pid, trigger: stop.trigger, sweep: stop, terminations: [] };
      found.push(cycle);
      if (stop.reason === 'gc_sweep_termination') open.set(stop.pid, cycle);
      continue;
    }
    let cycle = open.get(stop.pid);
    if (!cycle) {
      cycle = { at: stop.at, pid: stop.pid, trigger: 'unknown', sweep: null, terminations: [] };
      found.push(cycle);
      open.set(stop.pid, cycle);
    }
    cycle.terminations.push(stop);
    if (stop.ends_cycle) open.delete(stop.pid);
  }
  return found;
}

/** The phases of a cycle, in their order, each with its nanoseconds. */
export function phases({ sweep, terminations, other }) {
  if (other) return [{ name: reason(other.reason), ns: other.pause_ns, tone: 'other' }];
  const found = [];
  if (sweep) found.push({ name: reason(sweep.reason), ns: sweep.pause_ns, tone: 'stop' });
  let marking = sweep?.ended;
  for (const stop of terminations) {
    if (marking !== undefined) found.push({ name: 'concurrent mark', ns: Number(stop.began - marking), tone: 'mark' });
    found.push({ name: 'mark termination', ns: stop.pause_ns, tone: 'stop' });
    marking = stop.ended;
  }
  return found;
}

const title = (one) =>
  one.other ? `Stop of the world: ${reason(one.other.reason)}` : `Collection: ${TRIGGERS[one.trigger] ?? one.trigger}`;

export class Timeline {
  constructor(tools) {
    this.span = 60e3;
    this.found = [];
    this.chosen = null;
    this.spans = SPANS.map(([label, span]) => el('button', {
      type: 'button', 'aria-pressed': String(span === this.span), onclick: () => this.zoom(span),
    }, label));
    const height = LANES.length * LANE + 20;
    this.lanes = svg('g', { class: 'grid' });
    this.marks = svg('g', {});
    this.cross = svg('line', { class: 'cross', y1: 0, y2: LANES.length * LANE });
    this.picture = svg('svg', {
      class: 'chart timeline', height, role: 'img', tabindex: 0, 'aria-label': 'Collections and stops of the world',
      onpointermove: (event) => this.point(event),
      onpointerleave: () => this.choose(null),
      onkeydown: (event) => this.key(event),
    }, this.lanes, this.marks, this.cross);
    this.head = el('p', { class: 'chosen' });
    this.scale = svg('svg', { class: 'chart phases', height: 26, 'aria-hidden': 'true' });
    this.parts = el('ol', { class: 'parts' });
    this.missed = el('p', { class: 'muted note', hidden: true });
    this.list = el('tbody');
    this.element = el('section', { class: 'panel wide', 'aria-labelledby': 'timeline-title' },
      el('div', { class: 'panel-head' }, el('h3', { id: 'timeline-title' }, 'Collections and stops of the world'),
        el('div', { class: 'spans', role: 'group', 'aria-label': 'Time shown' }, ...this.spans), tools),
      this.picture,
      el('div', { class: 'detail', 'aria-live': 'off' }, this.head, this.scale, this.parts),
      this.missed,
      el('details', {}, el('summary', {}, 'The last twenty as a table'),
        el('div', { class: 'scroll-x', tabindex: 0, role: 'group', 'aria-label': 'Last collections and stops' },
          el('table', { class: 'plain' },
            el('thead', {}, el('tr', {}, ...['Began', 'What', 'Sweep termination', 'Concurrent mark', 'Mark termination', 'Stopped']
              .map((text, at) => el('th', { scope: 'col', class: at < 2 ? 'word' : 'number' }, text)))), this.list))));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.picture);
  }

  zoom(span) {
    this.span = span;
    for (const [at, [, value]] of SPANS.entries()) set(this.spans[at], { 'aria-pressed': value === span });
    this.draw();
  }

  take(stops, now, missed) {
    this.now = now;
    this.found = cycles(stops);
    this.missed.hidden = missed === 0;
    say(this.missed, `${missed} stops came too fast to be kept one by one; the totals have them.`);
    this.draw();
    this.table();
  }

  draw() {
    const width = this.picture.clientWidth;
    if (!width || this.now === undefined) return;
    const labels = width < 600 ? 0 : LABELS;
    const [from, to] = [this.now - this.span, this.now];
    this.x = (at) => labels + ((at - from) / this.span) * (width - labels - 4);
    this.picture.setAttribute('viewBox', `0 0 ${width} ${LANES.length * LANE + 20}`);
    clear(this.lanes);
    LANES.forEach((label, lane) => {
      const y = (lane + 1) * LANE;
      this.lanes.append(svg('line', { x1: 0, x2: width, y1: y, y2: y }));
      if (labels || this.found.length === 0) this.lanes.append(svg('text', { x: 2, y: y - 7 }, label));
    });
    const bottom = LANES.length * LANE + 15;
    this.lanes.append(
      svg('text', { x: labels + 2, y: bottom }, clock(from)),
      svg('text', { x: width - 2, y: bottom, 'text-anchor': 'end' }, clock(to)));
    clear(this.marks);
    this.shown = this.found.filter(({ at }) => at >= from);
    for (const one of this.shown) this.mark(one);
    set(this.picture, { 'aria-label': this.summary() });
    this.tell();
  }

  bar(lane, from, to, tone) {
    const x = this.x(from);
    const width = Math.max(2, this.x(to) - x);
    this.marks.append(svg('rect', {
      class: tone, x: x.toFixed(1), y: lane * LANE + 4, width: width.toFixed(1), height: LANE - 8, rx: 1,
    }));
  }

  mark(one) {
    if (one.other) {
      this.bar(4, one.at, milliseconds(one.other.ended), 'other');
      return;
    }
    const [x, y] = [this.x(one.at), LANE / 2];
    const shape = {
      forced: `M${x} ${y - 5}l5 5l-5 5l-5 -5Z`,
      time: `M${x - 4} ${y - 4}h8v8h-8Z`,
      heap: `M${x - 4} ${y}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0`,
    }[one.trigger] ?? `M${x - 4} ${y}h8M${x} ${y - 4}v8`;
    this.marks.append(svg('path', { class: `trigger ${one.trigger}`, d: shape }));
    const { sweep, terminations } = one;
    if (sweep) this.bar(sweep.reason === 'gc' ? 3 : 1, sweep.at, milliseconds(sweep.ended), 'stop');
    let marking = sweep?.ended;
    for (const stop of terminations) {
      if (marking !== undefined) this.bar(2, milliseconds(marking), stop.at, 'mark');
      this.bar(3, stop.at, milliseconds(stop.ended), 'stop');
      marking = stop.ended;
    }
  }

  summary() {
    const cycles = this.shown.filter(({ other }) => !other).length;
    const others = this.shown.length - cycles;
    return `${cycles} collections and ${others} other stops of the world in the last ${this.span / 1000} seconds. ` +
      'Arrow keys go from one to the next.';
  }

  point(event) {
    if (!this.shown?.length) return;
    const x = event.clientX - this.picture.getBoundingClientRect().left;
    let best = this.shown[0];
    for (const one of this.shown) {
      if (Math.abs(this.x(one.at) - x) < Math.abs(this.x(best.at) - x)) best = one;
    }
    this.choose(best);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e6, End: 1e6 }[event.key];
    if (!step || !this.shown?.length) return;
    event.preventDefault();
    const last = this.shown.length - 1;
    const now = this.chosen ? this.shown.findIndex((one) => one.at === this.chosen) : last;
    this.choose(this.shown[Math.max(0, Math.min(last, now + step))]);
  }

  choose(one) {
    this.chosen = one?.at ?? null;
    this.tell();
  }

  /** Draws the chosen one to scale, or the last, and says its nanoseconds. */
  tell() {
    if (!this.shown) return;
    const one = this.shown.find(({ at }) => at === this.chosen) ?? this.shown.at(-1);
    this.cross.style.display = this.chosen === null || !one ? 'none' : '';
    clear(this.scale);
    clear(this.parts);
    if (!one) {
      say(this.head, `No collection and no stop of the world in the last ${this.span / 1000} s.`);
      return;
    }
    const x = this.x(one.at).toFixed(1);
    set(this.cross, { x1: x, x2: x });
    const which = this.chosen === null ? 'Last. ' : '';
    say(this.head, `${which}${clock(one.at)} · ${title(one)} · process ${one.pid}`);
    const found = phases(one);
    const all = found.reduce((sum, { ns }) => sum + ns, 0) || 1;
    const width = this.scale.clientWidth;
    let from = 0;
    for (const { name, ns, tone } of found) {
      const share = Math.max(1.5, (ns / all) * width);
      this.scale.append(svg('rect', { class: tone, x: from.toFixed(1), y: 4, width: share.toFixed(1), height: 18, rx: 1 }));
      from += share;
      this.parts.append(el('li', { class: tone }, el('i'), `${name} `, el('b', {}, nanoseconds(ns))));
    }
  }

  table() {
    const sum = (found, wanted) => {
      const of = found.filter(({ name }) => name === wanted);
      return of.length > 0 ? nanoseconds(of.reduce((total, { ns }) => total + ns, 0)) : '';
    };
    this.list.replaceChildren(...this.found.slice(-20).reverse().map((one) => {
      const found = phases(one);
      const stopped = found.filter(({ tone }) => tone !== 'mark').reduce((total, { ns }) => total + ns, 0);
      return el('tr', {}, el('td', { class: 'word' }, clock(one.at)), el('td', { class: 'word' }, title(one)),
        ...['sweep termination', 'concurrent mark', 'mark termination'].map((name) => el('td', { class: 'number' }, sum(found, name))),
        el('td', { class: 'number' }, nanoseconds(stopped)));
    }));
  }

  leave() {
    this.resized.disconnect();
  }
}
