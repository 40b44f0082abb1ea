/**
 * Answers `GET /metrics` in Prometheus' text format. Times in seconds and base units, as its naming rules ask for. What
 * is known at any time is read when it is asked for; only renewals, calls and the event loop's lag are counted as they
 * happen.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { MASTER_STATES } from '../ha/index.ts'
import type { CallFacts } from '../serve/index.ts'
import type { MetricsFacts } from './view.ts'

const seconds = (ms: number | null): number => (ms === null ? Number.NaN : ms / 1000)

export class Metrics {
  readonly #registry = new Registry()
  readonly #shown: ((facts: MetricsFacts) => void)[] = []
  readonly #renewals: Histogram
  readonly #calls: Counter<'service' | 'method' | 'code'>
  readonly #callTimes: Histogram<'service'>
  readonly #lag: Histogram

  constructor() {
    const registers = [this.#registry]
    this.#renewals = new Histogram({
      name: 'tajo_master_renewal_duration_seconds',
      help: 'How long renewals of the lease took that succeeded.',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    })
    this.#calls = new Counter({
      name: 'tajo_rpc_requests_total',
      help: 'Answered calls, by what they were answered with.',
      labelNames: ['service', 'method', 'code'],
      registers,
    })
    this.#callTimes = new Histogram({
      name: 'tajo_rpc_request_duration_seconds',
      help: 'How long answers took, what a call waits for on purpose included.',
      labelNames: ['service'],
      buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 30],
      registers,
    })
    this.#lag = new Histogram({
      name: 'tajo_master_event_loop_lag_seconds',
      help: 'How late the timer of the heartbeat to the other masters ran, on backups too; what lies between two of its runs it does not see.',
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    })
    this.#ofTheElection()
    this.#ofPeersAndCalls()
    this.#ofQueries()
    this.#ofTables()
    this.#ofTheProcess()
  }

  renewal(tookMs: number): void {
    this.#renewals.observe(tookMs / 1000)
  }

  call({ service, method, code, tookMs }: CallFacts): void {
    this.#calls.inc({ service, method, code })
    this.#callTimes.observe({ service }, tookMs / 1000)
  }

  /** How late a timer of this process ran: a timer that there is anyway, so that looking costs no wake-up. */
  late(ms: number): void {
    this.#lag.observe(Math.max(0, ms) / 1000)
  }

  async text(facts: MetricsFacts): Promise<string> {
    for (const show of this.#shown) show(facts)
    // prom-client writes Nan, which not every reader of the format takes for a number.
    return (await this.#registry.metrics()).replaceAll(/ Nan$/gm, ' NaN')
  }

  #ofTheElection(): void {
    const state = this.#labelled('tajo_master_state', 'state', {
      help: 'Where this master stands: 1 for its state, 0 for the others.',
    })
    this.#shown.push((facts) => {
      for (const name of MASTER_STATES) state.set({ state: name }, name === facts.state ? 1 : 0)
    })
    this.#gauge('tajo_master_active', 'Whether this master serves now.', (facts) =>
      facts.serving ? 1 : 0,
    )
    this.#gauge('tajo_master_epoch', 'The newest term that this master knows.', (f) => f.term)
    this.#gauge(
      'tajo_master_lease_margin_seconds',
      'What is left of the lease; NaN on a master without one.',
      (facts) => seconds(facts.leaseMarginMs),
    )
    this.#gauge(
      'tajo_master_last_renewal_seconds',
      "How long the last renewal took, of the lease or of a backup's own file; NaN before the first.",
      (facts) => seconds(facts.lastRenewalMs),
    )
    this.#gauge(
      'tajo_master_storage_readable',
      'Whether the shared directory could be read at the last look.',
      (facts) => (facts.storageReadable ? 1 : 0),
    )
    this.#gauge(
      'tajo_master_storage_writable',
      "Whether this master's own heartbeat in the shared directory could be renewed; without high availability, whether a file could be written there.",
      (facts) => (facts.storageWritable ? 1 : 0),
    )
    this.#gauge(
      'tajo_master_warehouse_answers',
      "Whether the tables' directory (tajo.warehouse.directory) answered this master's last look.",
      (facts) => (facts.warehouseAnswers ? 1 : 0),
    )
    this.#gauge(
      'tajo_master_catalog_waits',
      "1 while the catalog's store keeps the active master waiting: it does not answer, or refuses.",
      (facts) => (facts.catalogWaits ? 1 : 0),
    )
    this.#gauge(
      'tajo_master_catalog_age_seconds',
      'How old what this master knows of the catalog is, 0 on the active; NaN on a backup that has not read it yet, or that has nothing to follow: its take-over would read all of it.',
      (facts) => seconds(facts.catalogAgeMs),
    )
    this.#ofSpace()
    const problems = new Gauge({
      name: 'tajo_master_problem',
      help: 'Why no master is active, in the words of each; none while one is.',
      labelNames: ['master', 'problem'],
      registers: [this.#registry],
    })
    this.#shown.push((facts) => {
      problems.reset()
      for (const [master, problem] of facts.problems) problems.set({ master, problem }, 1)
    })
    this.#counter('tajo_master_transitions_total', 'Changes of state.', (f) => f.transitions)
    this.#counters(
      'tajo_master_terms_total',
      'reason',
      'Terms of this master that began to serve, by why.',
      (facts) => facts.termsBegun,
    )
    this.#gauge(
      'tajo_master_foreign_masters',
      'Masters of other clusters in conf/masters, here or there.',
      (facts) => facts.foreignMasters,
    )
    this.#gauge(
      'tajo_master_other_directory',
      'Other masters that work on another directory than this one, or show another secret.',
      (facts) => facts.otherDirectories,
    )
    this.#gauge(
      'tajo_master_directory_unproven',
      'Other masters of which it is not known whether they work on the directory of this one.',
      (facts) => facts.unprovenDirectories,
    )
    this.#gauge(
      'tajo_master_storage_dangers',
      "Of this master's storage, what endangers the cluster until it is mended: a mount that nobody has proven, that caches, or with options that weaken the lease; one that is too slow; on the active, a directory that is not the cluster's.",
      (facts) => facts.storageDangers,
    )
    this.#counter(
      'tajo_master_split_brain_total',
      'Times that another master was seen to serve while this one did.',
      (facts) => facts.splitBrainAlarms,
    )
  }

  #ofSpace(): void {
    this.#gauge(
      'tajo_storage_free_bytes',
      'Left in the shared directory for whoever is not root; NaN before it was measured.',
      ({ space }) => space?.freeBytes ?? Number.NaN,
    )
    this.#gauge(
      'tajo_storage_free_inodes',
      'Left in the shared directory; NaN where the file system has no number of inodes.',
      ({ space }) => space?.freeFiles ?? Number.NaN,
    )
    const low = this.#labelled('tajo_storage_low', 'what', {
      help: 'Whether the next claim, opening and checkpoint may find no room: of bytes, of inodes, or a write was refused.',
    })
    this.#shown.push(({ space }) => {
      low.set({ what: 'bytes' }, space?.low.bytes === true ? 1 : 0)
      low.set({ what: 'inodes' }, space?.low.files === true ? 1 : 0)
      low.set({ what: 'refused' }, (space?.refused ?? null) === null ? 0 : 1)
    })
  }

  #ofPeersAndCalls(): void {
    this.#gauge('tajo_master_peers', 'Other masters in the shared directory.', (f) => f.peersKnown)
    this.#gauge('tajo_master_peers_connected', 'Open streams to them.', (f) => f.peersConnected)
    const ages = this.#labelled('tajo_master_heartbeat_age_seconds', 'master', {
      help: 'Since the heartbeat of another master was seen to move.',
    })
    this.#shown.push(({ heartbeatAgesMs }) => {
      ages.reset()
      for (const [master, ms] of heartbeatAgesMs) ages.set({ master }, ms / 1000)
    })
    this.#counters(
      'tajo_rpc_refused_total',
      'reason',
      'Refused messages, by what was wrong with them.',
      (facts) =>
        new Map([
          ['cluster', facts.refusedClusters],
          ['secret', facts.refusedSecrets],
          ['epoch', facts.refusedTerms],
        ]),
    )
    this.#gauge(
      'tajo_master_requests_in_flight',
      'Accepted, not answered yet.',
      (facts) => facts.requestsInFlight,
    )
  }

  #ofQueries(): void {
    const workers = this.#labelled('tajo_workers', 'state', {
      help: 'Registered workers; on the active master only.',
    })
    const queries = this.#labelled('tajo_queries', 'state', {
      help: 'Queries that this term keeps in memory, by state; on the active master only.',
    })
    this.#shown.push((facts) => {
      workers.reset()
      queries.reset()
      if (facts.workers !== null) {
        workers.set({ state: 'live' }, facts.workers.live)
        workers.set({ state: 'silent' }, facts.workers.silent)
      }
      for (const [state, count] of Object.entries(facts.queries ?? {}))
        queries.set({ state }, count)
    })
    this.#gauge(
      'tajo_workers_stuck',
      "Workers that get no queries, since a directory does not answer there or is not the cluster's.",
      (facts) => facts.stuckWorkers ?? Number.NaN,
    )
    this.#gauge(
      'tajo_workers_unlisted',
      'Workers that get queries and are not in conf/workers.',
      (facts) => facts.unlistedWorkers ?? Number.NaN,
    )
    this.#gauge('tajo_worker_slots', 'Queries that all workers can run at a time.', (facts) =>
      facts.workers === null ? Number.NaN : facts.workers.slots,
    )
  }

  /** Totals and the largest: a series for each table would have no bound. */
  #ofTables(): void {
    this.#gauge('tajo_master_tables', 'Tables in the catalog; on the active only.', (facts) =>
      facts.tables === null ? Number.NaN : facts.tables.tables,
    )
    const files = this.#labelled('tajo_master_table_files', 'of', {
      help: 'Files that the catalog lists for its tables: of all, and of the table that has the most; on the active only.',
    })
    const bytes = this.#labelled('tajo_master_table_bytes', 'of', {
      help: 'How large these files are: of all tables, and of the largest; on the active only.',
    })
    this.#shown.push(({ tables }) => {
      files.set({ of: 'all' }, tables?.files ?? Number.NaN)
      files.set({ of: 'largest' }, tables?.mostFiles ?? Number.NaN)
      bytes.set({ of: 'all' }, tables?.bytes ?? Number.NaN)
      bytes.set({ of: 'largest' }, tables?.mostBytes ?? Number.NaN)
    })
  }

  #ofTheProcess(): void {
    const pauses = this.#labelled('tajo_master_event_loop_pause_seconds', 'quantile', {
      help: 'For how long the event loop did not come round in the last one to two minutes: 1 is the longest. Holds the 0.01 s between two looks; NaN on a backup, where nobody looks.',
    })
    this.#shown.push((facts) => {
      pauses.set({ quantile: '0.99' }, seconds(facts.pauses?.p99Ms ?? null))
      pauses.set({ quantile: '1' }, seconds(facts.pauses?.maxMs ?? null))
    })
    this.#gauge(
      'process_resident_memory_bytes',
      'Resident memory of this process.',
      (facts) => facts.memoryBytes,
    )
    this.#gauge(
      'nodejs_heap_size_used_bytes',
      'Of the resident memory, what objects of this process take, those that nobody holds any more included.',
      () => process.memoryUsage().heapUsed,
    )
    this.#gauge(
      'process_start_time_seconds',
      'Start of this process since the Unix epoch.',
      (facts) => facts.startedAtSeconds,
    )
    this.#counter(
      'process_cpu_seconds_total',
      'CPU time of this process.',
      () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
    )
  }

  #gauge(name: string, help: string, value: (facts: MetricsFacts) => number): void {
    const gauge = new Gauge({ name, help, registers: [this.#registry] })
    this.#shown.push((facts) => gauge.set(value(facts)))
  }

  #labelled<L extends string>(name: string, label: L, { help }: { help: string }): Gauge<L> {
    return new Gauge({ name, help, labelNames: [label], registers: [this.#registry] })
  }

  #counter(name: string, help: string, value: (facts: MetricsFacts) => number): void {
    const counter = new Counter({ name, help, registers: [this.#registry] })
    this.#shown.push((facts) => {
      counter.reset()
      counter.inc(value(facts))
    })
  }

  #counters(
    name: string,
    label: string,
    help: string,
    values: (facts: MetricsFacts) => ReadonlyMap<string, number>,
  ): void {
    const counter = new Counter({ name, help, labelNames: [label], registers: [this.#registry] })
    this.#shown.push((facts) => {
      counter.reset()
      for (const [key, value] of values(facts)) counter.inc({ [label]: key }, value)
    })
  }
}
