// The columns of the table: what each says, how it sorts, how wide it is and how soon it has to go.

import * as format from './format.js';

const number = (id, label, of, text, width, rank, title) => ({
  id,
  label,
  of,
  text: (row) => text(of(row)),
  width,
  rank,
  title,
  numeric: true,
});

const word = (id, label, of, width, rank, title) => ({
  id,
  label,
  of,
  text: (row) => of(row) || '',
  width,
  rank,
  title,
  numeric: false,
});

const versions = (row) => row.versions.map((version) => version.replace(/^go/, '')).join(', ');

export const NEEDS = {
  goroutines_grow: 'goroutines grow',
  pauses: 'pauses',
  near_limit: 'near limit',
  coverage_lost: 'coverage lost',
};

export const needs = (row) => row.attention.map(({ why }) => NEEDS[why] ?? why).join(', ');

const attention = {
  ...word('attention', 'Attention', needs, 140, 4, 'Why a row needs attention'),
  // The most reasons first.
  order: (row) => row.attention.length,
  long: (row) => row.attention.map(({ text }) => text).join('; '),
  warns: true,
};

const name = (id, label, of) => ({ ...word(id, label, of, 210, 0), link: true });

const where = (kubernetes) =>
  kubernetes
    ? [
        name('pod', 'Pod', (row) => row.pod || row.process),
        word('namespace', 'Namespace', (row) => row.namespace, 120, 5),
        word('container', 'Container', (row) => row.container.slice(0, 64), 120, 6),
      ]
    : [
        name('process', 'Process', (row) => row.process),
        { ...number('pid', 'PID', (row) => row.processes[0]?.pid, (pid) => String(pid ?? ''), 80, 6) },
        word('container', 'Container', (row) => row.container.slice(0, 12), 120, 18),
      ];

/** For containers of pods, or for processes. */
export const columns = (kubernetes) => [
  ...where(kubernetes),
  attention,
  word('go', 'Go', versions, 76, 8, 'Version of Go'),
  {
    ...number('goroutines', 'Goroutines', (row) => row.goroutines, format.count, 190, 1,
      'Goroutines that exist, as runtime.NumGoroutine counts them, and in the last minute'),
    spark: true,
  },
  number('created', 'Created/s', (row) => row.created_per_second, format.rate, 104, 7,
    'Goroutines created in a second'),
  number('exited', 'Exited/s', (row) => row.exited_per_second, format.rate, 98, 11,
    'Goroutines ended in a second'),
  number('pause', 'GC pause', (row) => row.pause_p99_ns, format.duration, 106, 3,
    'Stops of the world by the collector in the last minute, 99th percentile'),
  number('stopped', 'Stopped', (row) => row.stopped_share, format.percent, 98, 9,
    'Share of time that the world stood still, in the last minute'),
  {
    ...number('heap', 'Heap', (row) => row.heap_bytes, format.bytes, 96, 2,
      'Heap in use; the bar is its share of the next collection’s goal'),
    bar: (row) => (row.next_gc_bytes ? row.heap_bytes / row.next_gc_bytes : 0),
  },
  number('next', 'Next GC', (row) => row.next_gc_bytes, format.bytes, 98, 10,
    'The heap’s goal: the next collection is to end at it'),
  number('limit', 'Limit', (row) => row.memory_limit_bytes, format.bytes, 88, 13,
    'GOMEMLIMIT; – where none is set'),
  number('latency', 'Sched p99', (row) => row.latency_p99_ns, format.duration, 112, 12,
    'How long goroutines waited to run in the last minute, 99th percentile'),
  {
    ...number('coverage', 'Coverage', (row) => row.covered / (row.coverable || 1), () => '', 104, 14,
      'Groups of figures that are exact, of those that its release of Go has'),
    text: (row) => (row.covered === row.coverable ? 'full' : `${row.covered} of ${row.coverable}`),
  },
  number('cost', 'Cost', (row) => row.cost_share, format.percent, 84, 15,
    'Share of one CPU that probes take from it'),
];

/** The columns that fit, in their order. */
export function fitting(all, width) {
  let left = width;
  const kept = new Set();
  for (const column of [...all].sort((a, b) => a.rank - b.rank)) {
    const least = width < 480 && column.link ? 130 : column.width;
    const room = width < 480 && column.spark ? 120 : least;
    if (kept.size > 0 && room > left) break;
    left -= room;
    kept.add(column);
  }
  return all.filter((column) => kept.has(column));
}
