// Lines and stacked areas over time, one reading for all of them.

import { clear, el, say, set, svg } from './dom.js';
import { clock } from './format.js';

const HEIGHT = 168;
const PAD = { left: 4, right: 4, top: 18, bottom: 18 };
const SHORTEST = 60e3;

/** A round number at or above `value`. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 7.5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** The moment that every chart of a view tells of; `null` for now. */
export class Reading {
  constructor() {
    this.at = null;
    this.charts = [];
  }

  set(at) {
    this.at = at;
    for (const chart of this.charts) chart.read();
  }
}

export class Chart {
  /** `series`: `{id, label, tone, dashed}`; stacked from the first on. */
  constructor({ title, note, series, stacked, format, tools }, reading) {
    Object.assign(this, { series, stacked, format, reading, title });
    this.data = { at: [] };
    reading.charts.push(this);
    this.legend = series.map((one) => {
      const value = el('b');
      one.value = value;
      one.item = el('span', { class: `key ${one.tone}${one.dashed ? ' dashed' : ''}` }, el('i'), `${one.label} `, value);
      return one.item;
    });
    this.when = el('span', { class: 'when muted' });
    this.paths = series.map(({ tone, dashed }) =>
      svg('path', { class: `${stacked ? 'area' : 'line'} ${tone}${dashed ? ' dashed' : ''}` }));
    this.grid = svg('g', { class: 'grid' });
    this.texts = svg('g', { class: 'grid' });
    this.cross = svg('line', { class: 'cross', y1: PAD.top, y2: HEIGHT - PAD.bottom });
    this.cross.style.display = 'none';
    this.picture = svg('svg', {
      // Until there is a moment to read out.
      class: 'chart', height: HEIGHT, role: 'img', tabindex: 0, 'aria-label': title,
      onpointermove: (event) => this.point(event),
      onpointerleave: () => reading.set(null),
      onblur: () => reading.set(null),
      onkeydown: (event) => this.key(event),
    }, this.grid, ...this.paths, this.texts, this.cross);
    this.element = el('section', { class: 'panel' },
      el('div', { class: 'panel-head' }, el('h3', {}, title), this.when, tools),
      note ? el('p', { class: 'muted note' }, note) : null,
      el('div', { class: 'legend' }, ...this.legend),
      this.picture);
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.picture);
  }

  /** Shows other points; `limits` are values that the picture has to have room for. */
  take(data, limits = {}) {
    this.data = data;
    this.limits = limits;
    this.draw();
  }

  values({ id }, at) {
    if (id in (this.limits ?? {})) return this.limits[id];
    return this.data[id]?.[at] ?? null;
  }

  known({ id }) {
    if (id in (this.limits ?? {})) return this.limits[id] !== null;
    return (this.data[id] ?? []).some((value) => value !== null);
  }

  draw() {
    const width = this.picture.clientWidth;
    const { at } = this.data;
    if (!width) return;
    this.picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const to = at.length > 0 ? at[at.length - 1] : Date.now();
    const from = Math.min(at.length > 0 ? at[0] : to, to - SHORTEST);
    this.x = (time) => PAD.left + ((time - from) / (to - from)) * (width - PAD.left - PAD.right);
    this.span = { from, to, width };
    let most = 0;
    const tops = at.map((_, index) => {
      let sum = 0;
      for (const one of this.series) {
        const value = this.values(one, index);
        if (value === null) continue;
        sum = this.stacked ? sum + value : Math.max(sum, value);
      }
      most = Math.max(most, sum);
      return sum;
    });
    this.empty = tops.length === 0;
    this.blank = !this.series.some((one) => this.known(one));
    const top = ceiling(most);
    this.y = (value) => HEIGHT - PAD.bottom - (value / top) * (HEIGHT - PAD.top - PAD.bottom);
    this.gridlines(top, width, from, to);
    const below = at.map(() => 0);
    this.series.forEach((one, place) => {
      set(this.paths[place], { d: this.stacked ? this.area(one, below) : this.line(one) });
      one.item.hidden = !this.known(one);
    });
    this.read();
  }

  gridlines(top, width, from, to) {
    clear(this.grid);
    clear(this.texts);
    for (const part of [0, 0.5, 1]) {
      const y = this.y(top * part);
      this.grid.append(svg('line', { x1: 0, x2: width, y1: y, y2: y }));
      if (part > 0 && !this.blank) this.texts.append(svg('text', { x: 2, y: y - 4 }, this.format(top * part)));
    }
    if (this.blank) {
      this.texts.append(svg('text', { x: width / 2, y: this.y(top / 2) - 8, 'text-anchor': 'middle' }, 'nothing in this time'));
    }
    const texts = [[from, 'start', 2], [to, 'end', width - 2]];
    for (const [time, anchor, x] of texts) {
      this.texts.append(svg('text', { x, y: HEIGHT - 4, 'text-anchor': anchor }, clock(time)));
    }
  }

  line(one) {
    let path = '';
    let pen = 'M';
    this.data.at.forEach((time, index) => {
      const value = this.values(one, index);
      if (value === null) {
        pen = 'M';
        return;
      }
      path += `${pen}${this.x(time).toFixed(1)} ${this.y(value).toFixed(1)}`;
      pen = 'L';
    });
    return path;
  }

  area(one, below) {
    const { at } = this.data;
    if (at.length === 0) return '';
    let up = '';
    let down = '';
    at.forEach((time, index) => {
      const x = this.x(time).toFixed(1);
      const low = below[index];
      below[index] += this.values(one, index) ?? 0;
      up += `${index ? 'L' : 'M'}${x} ${this.y(below[index]).toFixed(1)}`;
      down = `L${x} ${this.y(low).toFixed(1)}${down}`;
    });
    return `${up}${down}Z`;
  }

  nearest(time) {
    const { at } = this.data;
    let best = at.length - 1;
    at.forEach((value, index) => {
      if (Math.abs(value - time) < Math.abs(at[best] - time)) best = index;
    });
    return best;
  }

  point(event) {
    if (!this.span || this.empty) return;
    const x = event.clientX - this.picture.getBoundingClientRect().left;
    const { from, to, width } = this.span;
    const time = from + ((x - PAD.left) / (width - PAD.left - PAD.right)) * (to - from);
    this.reading.set(this.data.at[this.nearest(time)]);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e6, End: 1e6 }[event.key];
    if (!step || this.empty) return;
    event.preventDefault();
    const { at } = this.data;
    const now = this.nearest(this.reading.at ?? at[at.length - 1]);
    this.reading.set(at[Math.max(0, Math.min(at.length - 1, now + step))]);
  }

  /** Says what the figures were at the moment that is read. */
  read() {
    const { at } = this.data;
    if (!this.x || at.length === 0) return;
    this.picture.classList.toggle('blank', this.blank);
    const index = this.reading.at === null ? at.length - 1 : this.nearest(this.reading.at);
    const said = [];
    for (const one of this.series) {
      const text = this.format(this.values(one, index));
      say(one.value, text);
      if (this.known(one)) said.push(`${one.label} ${text}`);
    }
    say(this.when, this.reading.at === null ? '' : clock(at[index]));
    this.cross.style.display = this.reading.at === null ? 'none' : '';
    const x = this.x(at[index]).toFixed(1);
    set(this.cross, { x1: x, x2: x });
    set(this.picture, { 'aria-label': `${this.title} at ${clock(at[index])}: ${said.join(', ')}` });
  }

  leave() {
    this.resized.disconnect();
  }
}
