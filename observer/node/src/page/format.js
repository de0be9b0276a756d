// Figures as people read them.

/** Stands where a figure is not known. */
export const UNKNOWN = '–';

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

/** With a thin space between thousands. */
const grouped = (value) => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009');

function digits(value) {
  if (value >= 100 || value === 0) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export const count = (value) => (known(value) ? grouped(Math.round(value)) : UNKNOWN);

export function rate(value) {
  if (!known(value)) return UNKNOWN;
  return value > 0 && value < 10 ? value.toFixed(1) : grouped(Math.round(value));
}

export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let scaled = value;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? scaled.toFixed(0) : digits(scaled)}\u00a0${units[unit]}`;
}

export function duration(ns) {
  if (!known(ns)) return UNKNOWN;
  if (ns < 1e3) return `${Math.round(ns)}\u00a0ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)}\u00a0µs`;
  if (ns < 1e9) return `${digits(ns / 1e6)}\u00a0ms`;
  return `${digits(ns / 1e9)}\u00a0s`;
}

/** To the nanosecond. */
export const nanoseconds = (ns) => (known(ns) ? `${grouped(Math.round(ns))}\u00a0ns` : UNKNOWN);

export function percent(share) {
  if (!known(share)) return UNKNOWN;
  const value = share * 100;
  if (value === 0) return '0\u00a0%';
  if (value < 0.01) return '<\u20090.01\u00a0%';
  return `${value < 1 ? value.toFixed(2) : digits(value)}\u00a0%`;
}

export const seconds = (value) => `${value.toFixed(0)}\u00a0s`;

/** The time of day of milliseconds since the epoch. */
export const clock = (at) =>
  new Date(at).toLocaleTimeString([], {
    hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  });
