// Which view is shown, and its connection.

import { el, say } from './dom.js';
import { count, seconds } from './format.js';
import { follow, token } from './stream.js';
import { Table } from './table.js';
import { View } from './view.js';

const THEME = 'observer-theme';
const find = (id) => document.getElementById(id);
const main = find('main');

let current = null;
let stream = null;
let interval = 0;
let node = '';

/** `#/c/ID` is one row; `#/?q=…&sort=…` the table as it was left. */
function route() {
  const hash = location.hash.slice(1) || '/';
  const row = /^\/c\/(.+)$/.exec(hash);
  if (row) return { id: decodeURIComponent(row[1]) };
  const asked = new URLSearchParams(hash.split('?')[1] ?? '');
  return {
    state: {
      q: asked.get('q') ?? '',
      sort: asked.get('sort') ?? 'goroutines',
      up: asked.get('up') === '1',
      only: asked.get('only') === '1',
    },
  };
}

function remember({ q, sort, up, only }) {
  const asked = new URLSearchParams();
  if (q) asked.set('q', q);
  if (sort !== 'goroutines') asked.set('sort', sort);
  if (up) asked.set('up', '1');
  if (only) asked.set('only', '1');
  const text = asked.toString();
  history.replaceState(null, '', text ? `#/?${text}` : '#/');
  find('home').href = location.hash || '#/';
}

function show() {
  stream?.stop();
  current?.leave();
  const { id, state } = route();
  find('summary').textContent = '';
  document.body.classList.toggle('one', Boolean(id));
  document.title = 'observer';
  current = id ? new View(main, id) : new Table(main, state, { state: remember, summary });
  const path = id ? `api/v1/events?id=${encodeURIComponent(id)}` : 'api/v1/events';
  stream = follow(path, { event, state: connection });
  if (id) current.title.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function event(name, data) {
  if (data.node !== undefined) {
    node = data.node;
    say(find('node'), node);
  }
  if (data.interval_ms) interval = data.interval_ms;
  if (data.lacking) notice(data.lacking);
  current.take(name, data);
}

function summary({ all, need, kubernetes }) {
  if (kubernetes === null) return;
  const [one, more] = kubernetes ? ['container', 'containers'] : ['process', 'processes'];
  const what = `${count(all)} ${all === 1 ? one : more}`;
  say(find('summary'), need === 0 ? `${what}, none needs attention` : `${what}, ${count(need)} need${need === 1 ? 's' : ''} attention`);
  find('summary').classList.toggle('warns', need > 0);
}

function notice(lacking) {
  const box = find('notice');
  box.hidden = lacking.length === 0;
  say(box, lacking.length > 0 ? `The observer lacks: ${lacking.join('; ')}` : '');
}

function connection(state, text) {
  const box = find('connection');
  box.dataset.state = state;
  document.body.classList.toggle('stale', state !== 'open');
  if (state === 'open') {
    const every = interval >= 1000 ? seconds(interval / 1000) : `${interval} ms`;
    say(box, interval ? `Live, every ${every}` : 'Live');
    find('ask')?.remove();
  } else if (state === 'lost') {
    say(box, `Connection lost, trying again${text ? `: ${text}` : ''}`);
  } else {
    say(box, 'Not allowed');
    login(text);
  }
}

/** Asks for a token; it is kept for as long as this tab lives. */
function login(why) {
  if (find('ask')) {
    say(find('ask-why'), why);
    return;
  }
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'off', required: true });
  const form = el('form', {
    id: 'ask',
    class: 'notice',
    onsubmit: (submitted) => {
      submitted.preventDefault();
      token.set(input.value.trim());
      find('ask').remove();
      stream.retry();
    },
  },
  el('p', { id: 'ask-why', role: 'alert' }, why),
  el('label', {}, 'Bearer token ', input), el('button', {}, 'Show'),
  el('p', { class: 'muted' }, 'For example of kubectl create token; its account needs the ClusterRole go-observer-metrics-reader.'));
  main.before(form);
  input.focus();
}

function theme(value) {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
}

const themes = find('theme');
themes.value = localStorage.getItem(THEME) ?? '';
theme(themes.value);
themes.addEventListener('change', () => {
  localStorage.setItem(THEME, themes.value);
  theme(themes.value);
});

addEventListener('hashchange', show);
addEventListener('keydown', (pressed) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(pressed.target.tagName ?? '');
  if (pressed.key === '/' && !typing && find('filter')) {
    pressed.preventDefault();
    find('filter').focus();
  } else if (pressed.key === 'Escape' && document.body.classList.contains('one') && !typing) {
    location.hash = '#/';
  }
});
show();
