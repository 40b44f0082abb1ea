/**
 * Every document of the HTTP API as a zod schema: the types of `view.ts` and the description that is served both come
 * from here, and tests hold real answers against it, so none of the three can drift from the others.
 */
import { z } from 'zod'
import { services } from '../contract/index.ts'

const ms = z.number()
const wallMs = z.number().describe('ms since 1970')
const address = z.string().describe('host:port')

const addresses = z.object({
  umbilical: address,
  clientRpc: address,
  resourceTracker: address,
  catalog: address,
  infoHttp: address,
})

export const masterRow = z.object({
  address: address.describe("umbilical address: the master's name"),
  state: z
    .string()
    .describe('starting, backup, activating, active, suspended, stepping-down or stopped'),
  self: z.boolean().describe('the master that answers'),
  epoch: z.number().nullable().describe('the newest term it knows; null: it has not said'),
  heartbeatAgeMs: ms.nullable().describe('since its heartbeat moved; null before the second look'),
  leaseMarginMs: ms.nullable().describe('least left of its lease of late; null without a lease'),
  lastRenewalMs: ms.nullable().describe('slowest renewal of late, of its lease or its own file'),
  priority: z.number(),
  version: z.string(),
  hostname: z.string(),
  pid: z.number(),
  page: z.string().describe('address of its web page'),
  connected: z.boolean().describe('a stream from it to the master that answers is open'),
  clockOffsetMs: ms.nullable().describe('its clock less the clock of the master that answers'),
  problem: z
    .string()
    .nullable()
    .describe('why it is not active, or no master is, in its own words; null: it has not said'),
  addresses,
})

export const workerRow = services.client.workers.answer.shape.workers.element
export const queryRecord = services.client.queries.answer.shape.queries.element
const tableRow = services.catalog.tables.answer.shape.tables.element

export const alert = z.object({
  kind: z.enum([
    'one-master',
    'master-missing',
    'storage-slow',
    'storage-low',
    'storage-full',
    'storage',
    'clocks-apart',
    'activation-slow',
    'queries-queued',
    'no-active',
    'active-hindered',
    'backup-hindered',
    'split-brain',
    'other-cluster',
    'other-directory',
    'directory-unproven',
    'not-connected',
    'network',
    'worker-storage',
    'worker-spill',
    'worker-unlisted',
  ]),
  level: z.enum(['critical', 'warning', 'info']),
  text: z.string(),
})

export const ifActiveDied = z.object({
  successor: address.nullable().describe('who would take over; null: nobody could'),
  processDeathMs: ms.nullable().describe('longest, when its process dies and its host lives'),
  hostLossMs: ms.nullable().describe('longest, when nothing proves its death'),
  why: z.string().nullable().describe('why nobody could'),
})

export const periods = z.object({
  monitorMs: ms,
  renewMs: ms,
  deadlineMs: ms,
  patienceMs: ms,
  pollMs: ms,
  settleMs: ms,
  activationMs: ms,
  hangMs: ms,
})

export const workerCounts = z.object({
  live: z.number(),
  silent: z.number(),
  slots: z.number(),
  running: z.number(),
})

const toldWorkerCounts = workerCounts.nullable().describe('null: the active master has not said')

export const queryCounts = z.object({
  queued: z.number(),
  running: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  killed: z.number(),
})

export const cluster = z.object({
  clusterId: z.string().nullable(),
  epoch: z.number(),
  active: address.nullable().describe('umbilical address of the active master, its name'),
  activeClient: address.nullable(),
  activePage: z.string().nullable(),
  activeSinceMs: wallMs.nullable(),
  self: address,
  takenAtMs: wallMs,
  version: z.string(),
  highAvailability: z.boolean(),
  periods: periods.nullable(),
  masters: z.array(masterRow),
  ifActiveDied,
  alerts: z.array(alert),
  workers: z.array(workerRow),
  workerCounts: toldWorkerCounts,
  queryCounts: queryCounts.nullable().describe('null: they could not be read'),
  sql: z.enum(['off', 'read', 'all']).describe('what this caller may run from the page'),
  admin: z.boolean().describe('whether admin orders with a token are taken'),
  storage: z.string().describe('of the shared directory: ok, unreadable or unwritable'),
  problem: z.string().nullable(),
  warnings: z.array(z.string()),
})

const phases = z
  .object({
    noticedMs: ms,
    decidedMs: ms,
    claimedMs: ms,
    endedMs: ms,
    settledMs: ms,
    openedMs: ms,
    totalMs: ms,
  })
  .describe("one after the other, from the predecessor's last seen heartbeat")

export const historyEntry = z.object({
  why: z.string().describe('why this term began, in words'),
  ended: z.string().nullable().describe('how the term before ended, in words; null: it left none'),
  term: z.object({
    term: z.number(),
    address,
    hostname: z.string(),
    nonce: z.string(),
    reason: z.string(),
    evidence: z.string(),
    orderedBy: z.string().optional().describe('who had asked for it; not where nobody had'),
    previousTerm: z.number(),
    previousAddress: address.nullable(),
    at: z.string(),
    clusterId: z.string().optional().describe('not in terms of an older state'),
    generation: z.number().optional().describe('how often the cluster was formatted by then'),
    mount: z
      .string()
      .optional()
      .describe("the kind of its holder's mount; not in terms of an older state"),
    periods: periods
      .omit({ activationMs: true, hangMs: true })
      .optional()
      .describe("the holder's, for the whole term"),
  }),
  served: z
    .object({
      catalog: z.string().optional().describe('what it kept of the catalog, in its own words'),
      term: z.number(),
      nonce: z.string().optional().describe("of the master's life; not in terms of an older state"),
      servedAt: z.string(),
      previousEnd: z
        .object({
          reason: z.string(),
          by: z.string(),
          during: z.string().optional().describe('opening: it died while it opened the catalog'),
          successor: address.nullable(),
          at: z.string(),
        })
        .nullable(),
      trouble: z
        .string()
        .optional()
        .describe('what kept this master from serving before, such as claims on a full disk'),
      phases,
    })
    .nullable(),
  afterFormat: z.boolean().optional().describe('the term before was that of a formatHA'),
})
export const history = z.object({ history: z.array(historyEntry) })

const sample = z
  .tuple([wallMs, ms.nullable(), ms.nullable()])
  .describe('second, slowest renewal, least margin')
export const lease = z.object({
  bucketMs: ms,
  deadlineMs: ms.nullable(),
  renewMs: ms.nullable(),
  masters: z.array(z.object({ address, samples: z.array(sample) })),
})

export const workers = z.object({
  workers: z.array(workerRow),
  asOfMs: wallMs.nullable().describe('null: nobody could be asked'),
})

export const queries = z.object({
  queries: z.array(queryRecord),
  total: z.number().describe('that the filter lets through'),
  offset: z.number(),
  counts: queryCounts,
})
export const query = z.object({ query: queryRecord })

export const databases = z.object({ databases: z.array(z.string()) })
export const tables = z.object({
  database: z.string(),
  tables: z.array(tableRow).describe('by name'),
  total: z.number().describe('so many fit, without limit and offset'),
})

const setting = z.object({
  key: z.string(),
  value: z.string(),
  source: z.object({ file: z.string(), line: z.number() }).nullable().describe('null: the default'),
  default: z.string(),
  doc: z.string(),
  group: z.string(),
  usedBy: z.string(),
  reloadable: z.boolean(),
  secret: z.boolean(),
})
export const config = z.object({ confDir: z.string(), settings: z.array(setting) })

export const killed = z.object({ known: z.boolean() })
export const done = z.object({})
export const failure = z.object({
  code: z.string(),
  message: z.string(),
  active: address.nullable(),
  epoch: z.number().nullable(),
})

const name = z.string().min(1).max(128)
export const sqlRequest = z.object({
  sql: z.string().min(1).max(200_000),
  database: name.default('default'),
  variables: z.record(z.string().max(128), z.string().max(4096)).default({}),
  maxRows: z.number().int().min(1).max(10_000).default(1000),
})
const place = z.object({ line: z.number(), column: z.number() })
/** One line of the answer to `POST /api/v1/sql`. */
export const sqlLine = z.union([
  z.object({ queryId: z.string() }),
  z.object({
    progress: z.object({
      state: z.string(),
      progress: z.number(),
      worker: z.string().nullable(),
    }),
  }),
  z.object({ columns: z.array(z.object({ name: z.string(), type: z.string() })) }),
  z.object({ rows: z.array(z.array(z.unknown())) }),
  z.object({
    end: z.object({
      rows: z.number(),
      truncated: z.boolean(),
      message: z.string().nullable(),
      session: z.object({
        database: z.string(),
        variables: z.record(z.string(), z.string()),
      }),
    }),
  }),
  z.object({
    error: z.object({ message: z.string(), place: place.nullable(), kind: z.string() }),
  }),
])

export const handOverRequest = z.object({ successor: address.nullable().default(null) })

/** What `GET /api/v1/events` sends, by the name of the event. */
export const events = {
  cluster: cluster.omit({ workers: true }),
  history,
  lease: z.object({
    samples: z.array(z.tuple([address, wallMs, ms.nullable(), ms.nullable()])),
  }),
  queries: z.object({
    counts: queryCounts,
    changed: z.array(queryRecord),
    more: z.boolean().describe('more has changed than is listed'),
  }),
  workers: toldWorkerCounts,
  bye: z.object({ reason: z.string() }),
} as const
