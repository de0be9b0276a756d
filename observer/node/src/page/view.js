// One container's, or process's, last minutes.

import { Chart, Reading } from './charts.js';
import { hpa, promql } from './copy.js';
import { Creators } from './creators.js';
import { copy, el, say, set } from './dom.js';
import * as format from './format.js';
import { Timeline, prepare } from './timeline.js';

/** Points and stops kept here; the server keeps as many. */
const POINTS = 300;
const STOPS = 600;

const DEFINITIONS = [
  ['Goroutines', ({ goroutines }) => format.count(goroutines)],
  ['Created/s', (row) => format.rate(row.created_per_second)],
  ['Exited/s', (row) => format.rate(row.exited_per_second)],
  ['GC pause p99', (row) => format.duration(row.pause_p99_ns)],
  ['Time stopped', (row) => format.percent(row.stopped_share)],
  ['Heap', (row) => format.bytes(row.heap_bytes)],
  ['Next GC', (row) => format.bytes(row.next_gc_bytes)],
  ['GOMEMLIMIT', (row) => (row.memory_limit_bytes === null ? 'none' : format.bytes(row.memory_limit_bytes))],
  ['GOGC', (_, { gogc_percent: all }) => all.map((percent) => (percent < 0 ? 'off' : `${percent}`)).join(', ') || format.UNKNOWN],
  ['Sched p99', (row) => format.duration(row.latency_p99_ns)],
  ['Threads', (_, facts) => format.count(facts.threads)],
  ['GOMAXPROCS', (_, facts) => format.count(facts.gomaxprocs)],
  ['Collections', (_, facts) => format.count(facts.collections)],
  ['Allocated', (_, facts) => format.bytes(facts.allocated_bytes)],
  ['Coverage', (row) => (row.covered === row.coverable ? 'full' : `${row.covered} of ${row.coverable}`)],
  ['Cost of probes', (row) => format.percent(row.cost_share)],
];

export class View {
  constructor(main, id) {
    this.id = id;
    this.stops = [];
    this.data = { at: [] };
    this.reading = new Reading();
    this.build(main);
  }

  build(main) {
    this.title = el('h2', { tabindex: -1 }, '…');
    this.subtitle = el('p', { class: 'muted subtitle' });
    this.said = el('p', { class: 'copied', role: 'status' });
    this.link = el('button', { type: 'button', onclick: () => this.copied(location.href, 'the link') }, 'Copy link');
    this.attention = el('ul', { class: 'attention', 'aria-label': 'Needs attention' });
    this.values = DEFINITIONS.map(() => el('dd'));
    this.missing = el('details', { class: 'panel wide', hidden: true });
    const states = [
      { id: 'waiting', label: 'waiting', tone: 't1' },
      { id: 'not_in_go', label: 'in system calls or C', tone: 't2' },
      { id: 'runnable', label: 'runnable', tone: 't3' },
      { id: 'running', label: 'running', tone: 't4' },
    ];
    const chart = (what, options) => new Chart({ ...options, tools: this.tools(what) }, this.reading);
    this.states = chart('goroutines', {
      title: 'Goroutines by state', series: states, stacked: true, format: format.count,
      note: 'The runtime’s own goroutines are among them.',
    });
    this.live = chart('goroutines', {
      title: 'Goroutines', series: [{ id: 'goroutines', label: 'live', tone: 't4' }], format: format.count,
    });
    this.charts = [
      this.states, this.live,
      chart('created', {
        title: 'Created and exited per second', format: format.rate,
        series: [{ id: 'created_per_second', label: 'created', tone: 't4' }, { id: 'exited_per_second', label: 'exited', tone: 't5', dashed: true }],
      }),
      this.heap = chart('heap', {
        title: 'Heap', format: format.bytes,
        series: [{ id: 'heap_bytes', label: 'in use', tone: 't4' }, { id: 'next_gc_bytes', label: 'next GC', tone: 't5', dashed: true },
          { id: 'limit', label: 'GOMEMLIMIT', tone: 'bad', dashed: true }],
      }),
      chart('latency', {
        title: 'Waiting to run, 99th percentile', format: format.duration,
        series: [{ id: 'latency_p99_ns', label: 'latency', tone: 't4' }],
      }),
    ];
    this.timeline = new Timeline(this.tools('stops'));
    this.creators = new Creators(this.id);
    this.live.element.hidden = true;
    this.gone = el('p', { class: 'notice', hidden: true }, 'This is not observed any more. What is shown is its end.');
    main.replaceChildren(el('div', { class: 'view' },
      el('nav', { 'aria-label': 'Back' }, el('a', { href: document.getElementById('home').href }, '← All')),
      el('div', { class: 'view-head' }, this.title, this.link, this.said),
      this.subtitle, this.gone, this.attention,
      el('dl', { class: 'tiles' }, ...DEFINITIONS.map(([name], at) => el('div', {}, el('dt', {}, name), this.values[at]))),
      el('div', { class: 'grid-panels' },
        ...this.charts.map(({ element }) => element), this.timeline.element, this.creators.element, this.missing)));
  }

  tools(what) {
    return el('span', { class: 'copy' },
      el('button', { type: 'button', onclick: () => this.copied(promql(what, this.row), 'the PromQL') }, 'PromQL'),
      ['stops'].includes(what) ? null : el('button', { type: 'button', onclick: () => this.hpa(what) }, 'HPA'));
  }

  async copied(text, name) {
    const done = await copy(text);
    say(this.said, done ? `Copied ${name}.` : `Could not copy ${name}.`);
    clearTimeout(this.fade);
    this.fade = setTimeout(() => say(this.said, ''), 4000);
  }

  hpa(what) {
    const { text, why } = hpa(what, this.row);
    if (text) this.copied(text, 'the HPA');
    else say(this.said, `No HPA: ${why}.`);
  }

  take(name, data) {
    if (name === 'gone') {
      this.gone.hidden = false;
      if (!this.row) {
        say(this.title, 'Not observed');
        say(this.subtitle, 'There is no such container or process now. Should it come back, it shows here.');
      }
      return;
    }
    this.gone.hidden = true;
    if (name === 'view') {
      this.data = { at: [] };
      this.stops = [];
      this.kubernetes = data.kubernetes;
    }
    this.row = data.row;
    for (const [field, values] of Object.entries(data.series)) {
      this.data[field] = [...(this.data[field] ?? []), ...values].slice(-POINTS);
    }
    if (data.stops.length > 0) {
      this.stops = [...this.stops, ...data.stops.map(prepare)]
        .sort((a, b) => a.at - b.at).slice(-STOPS);
    }
    this.show(data);
  }

  show({ row, facts, stops_missed: missed }) {
    const name = row.pod ? `${row.pod} / ${row.container}` : row.process;
    say(this.title, name);
    document.title = `${name} – observer`;
    const where = row.pod ? [row.namespace, row.workload] : [row.container.slice(0, 12)];
    const pids = row.processes.map(({ pid, name: process }) => `${process} (${pid})`);
    say(this.subtitle, [...where, row.versions.join(', '), pids.join(', '), facts.executables.join(', ')].filter(Boolean).join(' · '));
    DEFINITIONS.forEach(([, text], at) => say(this.values[at], text(row, facts)));
    this.attention.hidden = row.attention.length === 0;
    const texts = row.attention.map(({ text }) => text);
    if (texts.join('\n') !== this.warned) {
      this.warned = texts.join('\n');
      this.attention.replaceChildren(...texts.map((text) => el('li', {}, el('span', { 'aria-hidden': 'true' }, '⚠ '), text)));
    }
    // Of a newcomer nothing is known for a second; most releases tell the states.
    const { at, waiting } = this.data;
    const hasStates = at.length === 0 || (waiting ?? []).some((value) => value !== null);
    this.states.element.hidden = !hasStates;
    this.live.element.hidden = hasStates;
    for (const chart of this.charts) {
      if (!chart.element.hidden) chart.take(this.data, chart === this.heap ? { limit: facts.memory_limit_bytes } : {});
    }
    this.timeline.take(this.stops, this.data.at.at(-1) ?? Date.now(), missed);
    this.creators.take(row);
    this.lacks(facts.missing);
  }

  lacks(missing) {
    const said = missing.map(({ figure, reason, detail }) => `${figure.replaceAll('_', ' ')}: ${detail} (${reason})`);
    if (said.join('\n') === this.lacking) return;
    this.lacking = said.join('\n');
    this.missing.hidden = said.length === 0;
    set(this.missing, { open: '' });
    this.missing.replaceChildren(el('summary', {}, 'What is not known, and why'), el('ul', {}, ...said.map((text) => el('li', {}, text))));
  }

  leave() {
    clearTimeout(this.fade);
    for (const chart of this.charts) chart.leave();
    this.timeline.leave();
  }
}
