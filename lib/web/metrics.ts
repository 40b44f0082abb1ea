/** `GET /metrics` in Prometheus' text format. Pure. Times in seconds and base units, as its naming rules ask for. */
import type { MetricsFacts } from './view.ts'

const STATES = [
  'starting',
  'backup',
  'activating',
  'active',
  'suspended',
  'stepping-down',
  'stopped',
] as const

export function metricsText(facts: MetricsFacts): string {
  const seconds = (ms: number | null): number => (ms === null ? Number.NaN : ms / 1000)
  const blocks = [
    block(
      'tajo_master_state',
      'gauge',
      'Where this master stands: 1 for its state, 0 for the others.',
      STATES.map((state) => [`{state="${state}"}`, state === facts.state ? 1 : 0]),
    ),
    gauge('tajo_master_active', 'Whether this master serves now.', facts.serving ? 1 : 0),
    gauge('tajo_master_epoch', 'The newest term that this master knows.', facts.epoch),
    gauge(
      'tajo_master_lease_margin_seconds',
      'What is left of the lease; NaN on a master without one.',
      seconds(facts.leaseMarginMs),
    ),
    gauge(
      'tajo_master_last_renewal_seconds',
      'How long the last renewal of the lease took; NaN on a master without one.',
      seconds(facts.lastRenewalMs),
    ),
    gauge(
      'tajo_master_storage_readable',
      'Whether the shared directory could be read at the last look.',
      facts.storageReadable ? 1 : 0,
    ),
    gauge('tajo_master_peers', 'Other masters in the shared directory.', facts.peersKnown),
    gauge('tajo_master_peers_connected', 'Open streams to them.', facts.peersConnected),
    counter('tajo_master_transitions_total', 'Changes of state.', facts.transitions),
    block('tajo_rpc_refused_total', 'counter', 'Refused messages, by what was wrong with them.', [
      ['{reason="secret"}', facts.refusedSecrets],
      ['{reason="epoch"}', facts.refusedEpochs],
    ]),
    counter(
      'tajo_master_split_brain_total',
      'Times that another master was seen to serve while this one did.',
      facts.splitBrainAlarms,
    ),
    gauge('tajo_master_requests_in_flight', 'Accepted, not answered yet.', facts.requestsInFlight),
    gauge('process_resident_memory_bytes', 'Resident memory of this process.', facts.memoryBytes),
    gauge(
      'process_start_time_seconds',
      'Start of this process since the Unix epoch.',
      facts.startedAtSeconds,
    ),
  ]
  return `${blocks.join('\n')}\n`
}

type Sample = readonly [labels: string, value: number]

function block(
  name: string,
  type: 'gauge' | 'counter',
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}`)
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join('\n')
}

const gauge = (name: string, help: string, value: number): string =>
  block(name, 'gauge', help, [['', value]])
const counter = (name: string, help: string, value: number): string =>
  block(name, 'counter', help, [['', value]])
