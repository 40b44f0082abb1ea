/** Answers a worker's `GET /metrics` in Prometheus' text format. Pure. */

export interface WorkerFacts {
  readonly running: number
  readonly freeSlots: number
  readonly slots: number
  readonly term: number
  readonly unshownTerms: number
  readonly begun: number
  readonly fetched: number
  readonly registrations: number
  readonly refusedClusters: number
  readonly refusedSecrets: number
  readonly refusedTerms: number
  readonly memoryBytes: number
}

export function metricsText(facts: WorkerFacts): string {
  const lines = [
    ...one('tajo_worker_queries_running', 'gauge', 'Queries that run now.', facts.running),
    ...one('tajo_worker_slots', 'gauge', 'Queries that it runs at a time.', facts.slots),
    ...one('tajo_worker_slots_free', 'gauge', 'How many more it would take now.', facts.freeSlots),
    ...one('tajo_worker_epoch', 'gauge', 'The newest term that this worker knows.', facts.term),
    ...one(
      'tajo_worker_unshown_terms_total',
      'counter',
      'Looks into the directory for a term that was heard of and is not there.',
      facts.unshownTerms,
    ),
    ...one('tajo_worker_queries_total', 'counter', 'Queries that were begun.', facts.begun),
    ...one('tajo_worker_results_total', 'counter', 'Results that were read.', facts.fetched),
    ...one(
      'tajo_worker_registrations_total',
      'counter',
      'Registrations with an active master.',
      facts.registrations,
    ),
    '# HELP tajo_rpc_refused_total Refused messages, by what was wrong with them.',
    '# TYPE tajo_rpc_refused_total counter',
    `tajo_rpc_refused_total{reason="cluster"} ${facts.refusedClusters}`,
    `tajo_rpc_refused_total{reason="secret"} ${facts.refusedSecrets}`,
    `tajo_rpc_refused_total{reason="epoch"} ${facts.refusedTerms}`,
    ...one(
      'process_resident_memory_bytes',
      'gauge',
      'Resident memory of this process.',
      facts.memoryBytes,
    ),
  ]
  return `${lines.join('\n')}\n`
}

const one = (name: string, type: string, help: string, value: number): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
  `${name} ${value}`,
]
