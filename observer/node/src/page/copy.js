// Queries and manifests to take along.

const quote = (text) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function labels(row) {
  const names = row.pod
    ? { namespace: row.namespace, pod: row.pod, container: row.container }
    : { process: row.process, pid: String(row.processes[0]?.pid ?? '') };
  return Object.entries(names).map(([name, value]) => `${name}="${quote(value)}"`).join(',');
}

const per = (family) => (at) => `rate(${family}{${at}}[1m])`;

const QUERIES = {
  goroutines: (at) => `go_goroutines{${at}}`,
  created: per('go_sched_goroutines_created_goroutines_total'),
  heap: (at) => `go_memstats_alloc_bytes{${at}} or go_memstats_next_gc_bytes{${at}}`,
  stops: (at) => `sum by (reason) (increase(go_sched_stops_total{${at}}[1m]))`,
  stopped: per('go_gc_duration_seconds_sum'),
  latency: (at) => `histogram_quantile(0.99, sum by (le) (rate(go_sched_latencies_seconds_bucket{${at}}[5m])))`,
};

export const promql = (what, row) => QUERIES[what](labels(row));

// The adapter's metrics, and a value to begin with: what it is now.
const METRICS = {
  goroutines: ['go_goroutines', (row) => row.goroutines],
  created: ['go_goroutines_created_per_second', (row) => row.created_per_second],
  heap: ['go_heap_bytes', (row) => row.heap_bytes],
  latency: ['go_sched_latency_p99_seconds', (row) => (row.latency_p99_ns ?? 0) / 1e9],
};

const GROUPS = {
  Deployment: 'apps/v1', StatefulSet: 'apps/v1', ReplicaSet: 'apps/v1', ReplicationController: 'v1',
};

/** As a Kubernetes quantity. */
const quantity = (value) => (value >= 10 ? String(Math.ceil(value)) : `${Math.max(1, Math.ceil(value * 1000))}m`);

/** What a name can be: a pod may say of its owner whatever it likes, also lines of YAML. */
const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** The HPA for a metric, or why there is none. */
export function hpa(what, row) {
  if (!METRICS[what]) return { why: 'the adapter has no such metric' };
  const [kind, ...rest] = (row.workload ?? '').split('/');
  const name = rest.join('/');
  if (!row.pod) return { why: 'an HPA scales pods; this is a process outside pods' };
  if (!GROUPS[kind]) return { why: `${row.workload ?? 'a pod that stands alone'} cannot be scaled` };
  if (![name, row.namespace].every((one) => NAME.test(one))) return { why: 'its workload has no name of Kubernetes' };
  const [metric, now] = METRICS[what];
  return {
    text: `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: ${name}
  namespace: ${row.namespace}
spec:
  scaleTargetRef:
    apiVersion: ${GROUPS[kind]}
    kind: ${kind}
    name: ${name}
  minReplicas: 1
  maxReplicas: 10
  metrics:
    - type: Pods
      pods:
        metric:
          name: ${metric}
        target:
          type: AverageValue
          # What this pod had when this was copied: set what one pod should carry.
          averageValue: ${quantity(now(row) ?? 1)}
`,
  };
}
