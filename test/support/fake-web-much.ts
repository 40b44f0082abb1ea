/** Made-up documents of a large cluster; with a `name`, every text in them is built around it. */
import { inWords } from '../../lib/web/term-words.ts'
import type { QueryRow, TermRow } from '../../lib/web/view.ts'
import { emptyFacts, type FakeFacts, queryIdOf } from './fake-web.ts'

export interface Amounts {
  readonly workers: number
  readonly queries: number
  readonly tables: number
  readonly terms: number
}

export function muchOf(amounts: Amounts, name: string | null = null): FakeFacts {
  const facts = emptyFacts()
  const called = (text: string): string => (name === null ? text : `${text} ${name}`)
  facts.workers = rows(amounts.workers, (at) => ({
    address: called(`node${String(at).padStart(3, '0')}:28091`),
    state: at % 41 === 7 ? 'silent' : 'live',
    host: called(`node${at}`),
    pid: 1000 + at,
    version: '0.1.0',
    slots: 4,
    running: at % 5,
    heartbeatAgeMs: 30 + at,
    webPage: `http://node${at}:28080/`,
  }))
  facts.queries = rows(amounts.queries, (at) => query(at, called))
  facts.tables = rows(amounts.tables, (at) => ({
    id: at,
    name: called(['sales', 'orders', 'events', 'visits'][at % 4] + (at < 4 ? '' : `_${at}`)),
    database: 'default',
    kind: at % 3 === 2 ? 'external' : 'managed',
    format: at % 2 === 0 ? 'PARQUET' : 'TEXT',
    options: at % 2 === 0 ? {} : { 'text.delimiter': called('|') },
    columns: [
      { name: called('day'), type: 'DATE' },
      { name: called('shop'), type: 'TEXT' },
      { name: called('amount'), type: 'NUMERIC(10,2)' },
    ],
    partitionColumns: at % 4 === 0 ? [{ name: called('country'), type: 'TEXT' }] : [],
    location: called(`/data/tajo/warehouse/default/t${at}`),
    wholeDirectory: at % 3 === 2,
    schemaVersion: 1,
    createdAt: '2026-11-20T09:30:00.000Z',
    rows: 120_000 * (at + 1),
    bytes: 3_400_000 * (at + 1),
    fileCount: 3 + at,
  }))
  facts.databases = ['default', called('archive')]
  facts.history = terms(amounts.terms, called)
  facts.lease = lease()
  facts.config.settings = settings(called)
  facts.cluster.workerCounts = {
    live: facts.workers.filter(({ state }) => state === 'live').length,
    silent: facts.workers.filter(({ state }) => state === 'silent').length,
    slots: 4 * amounts.workers,
    running: facts.workers.reduce((sum, { running }) => sum + running, 0),
  }
  facts.cluster.alerts = [
    {
      kind: 'storage-slow',
      level: 'warning',
      text: called('Renewals take up to 310 ms of a period of 500 ms on host1:26001.'),
    },
    { kind: 'queries-queued', level: 'info', text: called('3 queries wait for a free slot.') },
  ]
  return facts
}

const rows = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at))

/** So that the pictures of the manual are the same each time they are made. */
const NOON_MS = Date.parse('2026-11-22T12:00:00.000Z')

const STATEMENTS = [
  'SELECT shop, count(*) AS n, sum(amount) AS total FROM sales GROUP BY shop ORDER BY total DESC',
  'INSERT INTO daily SELECT day, sum(amount) FROM sales GROUP BY day',
  'SELECT * FROM events WHERE kind = 7 ORDER BY at DESC LIMIT 100',
  'CREATE TABLE orders_2026 AS SELECT * FROM orders WHERE year = 2026',
]

function query(at: number, called: (text: string) => string): QueryRow {
  const state =
    at < 2
      ? 'running'
      : at < 4
        ? 'queued'
        : at % 17 === 0
          ? 'failed'
          : at === 9
            ? 'killed'
            : 'succeeded'
  const submittedMs = NOON_MS - at * 47_000
  const over = state !== 'running' && state !== 'queued'
  return {
    queryId: queryIdOf(at),
    attempt: 1,
    sql: called(STATEMENTS[at % STATEMENTS.length] ?? ''),
    user: called(['ada', 'grace', 'edsger'][at % 3] ?? ''),
    database: 'default',
    kind: at % 2 === 0 ? 'select' : 'change',
    state,
    submittedMs,
    startedMs: state === 'queued' ? null : submittedMs + 40,
    finishedMs: over ? submittedMs + 300 + (at % 90) * 61 : null,
    progress: over ? 1 : 0.3 + at * 0.3,
    rows: state === 'succeeded' ? at * 37 : null,
    message: null,
    error:
      state === 'failed'
        ? {
            message: called('Table "shops" does not exist'),
            place: { line: 1, column: 15 },
            kind: 'user',
          }
        : null,
    worker: state === 'queued' ? null : called(`node${at % 40}:28091`),
    master: 'host1:26001',
    epoch: 7,
  }
}

const CHANGES = [
  ['process-dead', 'The keeper of host2:26001 reported that its master process had ended.'],
  ['handed-over', 'host1:26001 handed over to this master.'],
  ['expired', 'The heartbeat of host3:26001 did not move for 3,000 ms.'],
] as const

function terms(count: number, called: (text: string) => string): TermRow[] {
  return rows(count, (at) => {
    const record = recordOf(count, at, called)
    return inWords(record)
  })
}

function recordOf(
  count: number,
  at: number,
  called: (text: string) => string,
): Omit<TermRow, 'why' | 'ended'> {
  const term = count - at
  const [reason, evidence] = CHANGES[at % CHANGES.length] ?? CHANGES[0]
  const first = term === 1
  const at0 = NOON_MS - 3_600_000 * (at * 5 + 1)
  const slow = reason === 'expired'
  return {
    term: {
      term,
      address: `host${1 + (at % 3)}:26001`,
      hostname: `host${1 + (at % 3)}`,
      nonce: `n${term}`,
      reason: first ? 'first-start' : reason,
      evidence: called(first ? 'There was no term before.' : evidence),
      previousTerm: term - 1,
      previousAddress: first ? null : `host${1 + ((at + 1) % 3)}:26001`,
      at: new Date(at0).toISOString(),
    },
    served: {
      term,
      servedAt: new Date(at0 + 60).toISOString(),
      previousEnd:
        first || slow
          ? null
          : {
              reason: reason === 'handed-over' ? 'handed-over' : 'master-died',
              by: called(reason === 'handed-over' ? 'ada@host1' : 'keeper'),
              successor: null,
              at: new Date(at0 - 30).toISOString(),
            },
      phases: {
        noticedMs: slow ? 2100 : 4,
        decidedMs: slow ? 900 : 2,
        claimedMs: 9,
        endedMs: 5,
        settledMs: slow ? 600 : 0,
        openedMs: 21,
        totalMs: slow ? 3635 : 41,
      },
    },
  }
}

/** Five minutes of three masters: calm, with a bump. */
function lease(): FakeFacts['lease'] {
  const nowMs = Date.now()
  const samples = (base: number, held: boolean): [number, number, number | null][] =>
    rows(300, (at) => {
      const bump = at > 190 && at < 205 ? 60 + 14 * (at % 5) : 0
      const renewalMs = base + Math.abs(Math.sin(at / 7)) + ((at * 7919) % 13) / 9 + bump
      return [
        nowMs - (300 - at) * 1000,
        renewalMs,
        held ? 2480 - renewalMs * 2 - ((at * 31) % 90) : null,
      ]
    })
  return {
    bucketMs: 1000,
    deadlineMs: 2500,
    renewMs: 500,
    masters: [
      { address: 'host1:26001', samples: samples(1.2, true) },
      { address: 'host2:26001', samples: samples(2.1, false) },
      { address: 'host3:26001', samples: samples(1.6, false) },
    ],
  }
}

function settings(called: (text: string) => string): FakeFacts['config']['settings'] {
  const common = { usedBy: 'master', reloadable: false, secret: false }
  return [
    {
      ...common,
      key: 'tajo.rootdir',
      value: called('file:///data/tajo'),
      source: { file: called('/etc/tajo/tajo-site.xml'), line: 12 },
      default: 'file:///tmp/tajo',
      doc: 'Root directory of the cluster, on the shared mount.',
      group: 'Directories',
    },
    {
      ...common,
      key: 'tajo.master.ha.monitor.interval',
      value: '5000',
      source: null,
      default: '5000',
      doc: 'The monitor interval in ms; all other periods derive from it.',
      group: 'High availability',
    },
    {
      ...common,
      key: 'tajo.catalog.connection.password',
      value: '',
      source: { file: '/etc/tajo/tajo-site.xml', line: 31 },
      default: '',
      doc: 'Password of the catalog database.',
      group: 'Catalog',
      secret: true,
    },
  ]
}
