// The table: only the rows in sight are elements, and only cells that changed are touched.

import { columns, fitting, needs } from './columns.js';
import { clear, el, say, set, sparkline, svg } from './dom.js';
import { filter } from './filter.js';
import { count } from './format.js';

const SPARK = { points: 60, width: 84, height: 20 };
/** Rows above and below those in sight, so that scrolling does not outrun drawing. */
const BEYOND = 8;
/** While the pointer moves over the rows they keep their order. */
const HOLD = 3000;

export class Table {
  constructor(main, state, on) {
    this.on = on;
    this.state = state;
    this.rows = new Map();
    this.order = [];
    this.drawn = new Map();
    this.kubernetes = null;
    this.pointed = -Infinity;
    this.build(main);
    this.resized = new ResizeObserver(() => this.layout());
    this.resized.observe(this.box);
  }

  build(main) {
    this.input = el('input', {
      type: 'search',
      id: 'filter',
      placeholder: 'Filter: words, goroutines>1000, go:1.22 …',
      'aria-describedby': 'filter-help',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => this.change({ q: this.input.value }),
    });
    this.input.value = this.state.q;
    this.only = el('input', { type: 'checkbox', onchange: () => this.change({ only: this.only.checked }) });
    this.only.checked = this.state.only;
    this.sorts = el('select', { onchange: () => this.change({ sort: this.sorts.value }) });
    this.note = el('span', { class: 'muted', id: 'shown', 'aria-live': 'polite' });
    this.head = el('tr', { 'aria-rowindex': 1 });
    this.above = el('tr', { 'aria-hidden': 'true', class: 'space' }, el('td'));
    this.below = el('tr', { 'aria-hidden': 'true', class: 'space' }, el('td'));
    this.body = el('tbody', {
      onpointermove: () => { this.pointed = performance.now(); },
      onpointerleave: () => { this.pointed = -Infinity; },
      onkeydown: (event) => this.key(event),
    }, this.above, this.below);
    this.widths = el('colgroup');
    this.table = el('table', { class: 'figures' },
      el('caption', { class: 'hidden' }, 'Go runtimes of this node'),
      this.widths, el('thead', {}, this.head), this.body);
    this.empty = el('p', { class: 'empty', hidden: true });
    this.box = el('div', { class: 'scroll', onscroll: () => this.draw() }, this.table, this.empty);
    main.replaceChildren(
      el('div', { class: 'tools' },
        el('label', { class: 'filter' }, el('span', { class: 'hidden' }, 'Filter'), this.input),
        el('label', { class: 'check' }, this.only, ' Needs attention'),
        el('label', { class: 'sorts' }, el('span', {}, 'Sort by '), this.sorts),
        this.note,
        el('span', { id: 'filter-help', class: 'hidden' },
          'Words that must occur, or a column with :, >, <, >= or <= and a value, such as heap>100MB')),
      this.box);
  }

  /** What the reader asked for changed. */
  change(what) {
    Object.assign(this.state, what);
    this.on.state(this.state);
    this.sort(true);
    this.box.scrollTop = 0;
    this.draw();
  }

  take(name, data) {
    if (name === 'table') {
      this.rows = new Map(data.rows.map((row) => [row.key, row]));
      if (this.kubernetes !== data.kubernetes) {
        this.kubernetes = data.kubernetes;
        this.all = columns(data.kubernetes);
        if (!this.all.some(({ id }) => id === this.state.sort)) this.state.sort = 'goroutines';
        this.layout();
      }
    } else {
      for (const [key, figures] of data.rows) Object.assign(this.rows.get(key) ?? {}, figures);
      for (const key of data.gone) this.rows.delete(key);
      if (data.tick) {
        for (const row of this.rows.values()) {
          row.spark.push(row.goroutines ?? -1);
          if (row.spark.length > SPARK.points) row.spark.shift();
        }
      }
      for (const row of data.new) this.rows.set(row.key, row);
    }
    this.sort(false);
    this.later();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  /** The columns that fit now, and their heads. */
  layout() {
    if (!this.all) return;
    const width = this.box.clientWidth;
    this.narrow = width < 700;
    this.rowHeight = this.narrow ? 52 : 34;
    const shown = fitting(this.all, width);
    const same = this.shown?.length === shown.length && shown.every((column, at) => column === this.shown[at]);
    this.table.classList.toggle('narrow', this.narrow);
    if (!same) {
      this.shown = shown;
      for (const drawn of this.drawn.values()) drawn.tr.remove();
      this.drawn.clear();
      this.heads();
    }
    this.sort(false);
    this.draw();
  }

  heads() {
    clear(this.head);
    clear(this.widths);
    for (const column of this.shown) {
      const label = el('button', {
        type: 'button',
        title: column.title,
        onclick: () => this.change({
          sort: column.id,
          up: this.state.sort === column.id ? !this.state.up : !column.numeric && !column.order,
        }),
      }, column.label, el('span', { class: 'arrow', 'aria-hidden': 'true' }));
      this.head.append(el('th', { scope: 'col', 'data-column': column.id, class: column.numeric ? 'number' : 'word' }, label));
      const col = el('col');
      if (!column.link) col.style.width = `${this.narrow && column.spark ? column.narrow : column.width}px`;
      this.widths.append(col);
    }
    this.sorts.replaceChildren(...this.all.map(({ id, label }) => el('option', { value: id }, label)));
    for (const space of [this.above, this.below]) set(space.firstChild, { colspan: this.shown.length });
  }

  held() {
    return performance.now() - this.pointed < HOLD || this.body.contains(document.activeElement);
  }

  /** The order of the rows; one that is held only loses and gains rows. */
  sort(asked) {
    if (!this.all) return;
    const { shows, unknown } = filter(this.state.q, this.all);
    this.unknown = unknown;
    const shown = (row) => row && (!this.state.only || row.attention.length > 0) && shows(row);
    if (!asked && this.held()) {
      const here = new Set(this.order);
      this.order = this.order.filter((key) => shown(this.rows.get(key)));
      for (const [key, row] of this.rows) if (!here.has(key) && shown(row)) this.order.push(key);
      return;
    }
    const column = this.all.find(({ id }) => id === this.state.sort) ?? this.all[0];
    const of = column.order ?? column.of;
    const sign = this.state.up ? 1 : -1;
    const compare = (a, b) => {
      const [x, y] = [of(a), of(b)];
      const [noX, noY] = [x === null || x === undefined, y === null || y === undefined];
      if (noX || noY) return noX - noY || a.key - b.key;
      const order = typeof x === 'string' ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
      return order * sign || a.key - b.key;
    };
    this.order = [...this.rows.values()].filter(shown).sort(compare).map(({ key }) => key);
  }

  draw() {
    if (!this.shown) return;
    for (const th of this.head.children) {
      const sorted = th.dataset.column === this.state.sort;
      const way = this.state.up ? 'ascending' : 'descending';
      if (sorted) set(th, { 'aria-sort': way });
      else th.removeAttribute('aria-sort');
    }
    if (this.sorts.value !== this.state.sort) this.sorts.value = this.state.sort;
    const height = this.rowHeight;
    const head = this.head.offsetHeight || 34;
    const first = Math.max(0, Math.floor((this.box.scrollTop - head) / height) - BEYOND);
    const room = Math.ceil(this.box.clientHeight / height) + 2 * BEYOND;
    const keys = this.order.slice(first, first + room);
    const wanted = new Set(keys);
    for (const [key, drawn] of this.drawn) {
      if (!wanted.has(key)) {
        drawn.tr.remove();
        this.drawn.delete(key);
      }
    }
    let before = this.above;
    keys.forEach((key, at) => {
      const drawn = this.row(key);
      set(drawn.tr, { 'aria-rowindex': first + at + 2 });
      if (before.nextSibling !== drawn.tr) before.after(drawn.tr);
      before = drawn.tr;
    });
    this.above.style.height = `${first * height}px`;
    this.below.style.height = `${Math.max(0, this.order.length - first - keys.length) * height}px`;
    set(this.table, { 'aria-rowcount': this.order.length + 1 });
    this.words();
  }

  words() {
    const all = this.rows.size;
    const shown = this.order.length;
    const strange = this.unknown?.length ? ` Not understood: ${this.unknown.join(' ')}` : '';
    say(this.note, (shown === all ? '' : `${count(shown)} of ${count(all)} shown.`) + strange);
    this.empty.hidden = shown > 0;
    if (shown === 0) {
      say(this.empty, all === 0
        ? 'No Go process runs here. As soon as one begins it shows up.'
        : 'Nothing matches the filter.');
    }
    const need = [...this.rows.values()].filter(({ attention }) => attention.length > 0).length;
    this.on.summary({ all, need, kubernetes: this.kubernetes });
  }

  row(key) {
    const row = this.rows.get(key);
    let drawn = this.drawn.get(key);
    if (!drawn) {
      drawn = this.make(row);
      this.drawn.set(key, drawn);
    }
    for (const cell of drawn.cells) cell(row);
    drawn.tr.classList.toggle('needs', row.attention.length > 0);
    return drawn;
  }

  make(row) {
    const cells = [];
    const tr = el('tr', { 'data-key': row.key });
    for (const column of this.shown) tr.append(this.cell(column, row, cells));
    return { tr, cells };
  }

  cell(column, row, cells) {
    if (column.link) {
      const link = el('a', { href: `#/c/${encodeURIComponent(row.id)}` });
      const sub = el('span', { class: 'sub' });
      const mark = el('span', { class: 'mark' });
      cells.push((now) => {
        say(link, column.text(now));
        set(link, { title: column.text(now) });
        const need = needs(now);
        say(mark, need ? '⚠' : '');
        set(mark, need ? { role: 'img', 'aria-label': 'Needs attention:', title: need } : { title: '' });
        if (!need) ['role', 'aria-label'].forEach((name) => mark.removeAttribute(name));
        const where = [now.namespace, now.container.slice(0, 24), now.versions.join(', ')];
        say(sub, this.narrow ? need || where.filter(Boolean).join(' · ') : '');
      });
      return el('th', { scope: 'row', class: 'name' }, mark, link, sub);
    }
    const text = document.createTextNode('');
    const td = el('td', { class: column.numeric ? 'number' : 'word', 'data-column': column.id }, text);
    cells.push((now) => {
      const said = column.text(now);
      if (text.data !== said) text.data = said;
      if (column.long) set(td, { title: column.long(now) });
    });
    if (column.warns) td.classList.add('warns');
    if (column.spark) this.spark(td, cells);
    if (column.bar) this.bar(td, column, cells);
    return td;
  }

  spark(td, cells) {
    const line = svg('path', {});
    const { width, height } = SPARK;
    td.prepend(svg('svg', { class: 'spark', width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' }, line));
    cells.push((now) => set(line, { d: sparkline(now.spark, width, height) }));
  }

  bar(td, column, cells) {
    const part = svg('rect', { height: 3, rx: 1.5 });
    td.append(svg('svg', { class: 'share', width: '100%', height: 3, 'aria-hidden': 'true' },
      svg('rect', { width: '100%', height: 3, rx: 1.5, class: 'whole' }), part));
    cells.push((now) => {
      const share = Math.min(1, column.bar(now) || 0);
      set(part, { width: `${(share * 100).toFixed(0)}%` });
    });
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e6, End: 1e6 }[event.key];
    const tr = event.target.closest('tr');
    if (!step || !tr) return;
    event.preventDefault();
    const from = this.order.indexOf(Number(tr.dataset.key));
    const to = Math.max(0, Math.min(this.order.length - 1, from + step));
    const top = to * this.rowHeight;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + 3 * this.rowHeight > scrollTop + clientHeight) {
      this.box.scrollTop = top + 3 * this.rowHeight - clientHeight;
    }
    this.draw();
    this.drawn.get(this.order[to])?.tr.querySelector('a').focus({ preventScroll: true });
  }

  leave() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
