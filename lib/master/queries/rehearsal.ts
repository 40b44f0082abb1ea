/**
 * A backup rehearses its take-over: it opens two terms on a catalog of its own in a temporary directory, as it would the
 * cluster's, and lets a change and a query go as far as they go without a worker. Code that has never run is several times as
 * slow as it is after that, and a take-over would be its first run. Nothing of the cluster is touched or asked.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { Memory } from '../../catalog/memory.ts'
import { sharedStore } from '../../catalog/open.ts'
import type { QueryOptions } from './options.ts'
import { QueryHistory } from './query-history.ts'
import { openTerm, type TermOptions } from './term.ts'

export interface RehearsalOptions {
  readonly queries: QueryOptions
  /** Where a directory can be made for it. */
  readonly parent: string
  readonly clock: Clock
  readonly wallMs: () => number
  /** How far each statement came. */
  readonly onStatement?: (sql: string, state: string) => void
}

const MADE_WITHIN_MS = 1000
const SESSION = { database: 'default', user: 'rehearsal', variables: {} }
/** The second term finds the table of the first. */
const statementsOf = (term: number): string[] => [
  `CREATE TABLE t${term} (a INT4, b TEXT) PARTITION BY COLUMN (p TEXT)`,
  "SELECT a, b FROM t1 WHERE p = 'x'",
  `INSERT INTO t${term} SELECT a, b, p FROM t1 WHERE p = 'x'`,
]

/** Rejects with what keeps the directory from being used; it is gone again in any case. */
export async function rehearse({
  queries,
  parent,
  clock,
  wallMs,
  onStatement = () => {},
}: RehearsalOptions): Promise<void> {
  const root = await mkdtemp(join(parent, 'tajo-rehearsal-'))
  try {
    const memory = new Memory()
    const log = (): void => undefined
    const options = {
      ...queries,
      ...optionsBelow(root),
      makeStore: async () => sharedStore(root, log, { memory }),
      history: new QueryHistory({
        directory: join(root, 'queries'),
        limit: queries.historyLimit,
        maxAgeMs: queries.historyMaxAgeMs,
        ...{ clock, wallMs, log },
      }),
      ...{ clock, wallMs, log },
      ...NOBODY,
    }
    for (const term of [1, 2]) {
      const store = await options.makeStore()
      await store.follow()
      await playTerm(options, term, onStatement)
    }
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

const optionsBelow = (root: string) => ({
  logDirectory: join(root, 'queries'),
  warehouse: join(root, 'warehouse'),
  systemDirectory: join(root, 'system'),
})

/** Whom a term otherwise asks and tells. */
const NOBODY = {
  onTrouble: () => undefined,
  address: 'rehearsal',
  commit: async () => undefined,
  renewed: async () => undefined,
  mayServe: () => true,
  onBroken: () => undefined,
  onGone: () => undefined,
  lowOnSpace: () => null,
  clusterId: () => null,
  secret: () => '',
}

async function playTerm(
  options: Omit<TermOptions, 'term' | 'signal'>,
  number: number,
  onStatement: (sql: string, state: string) => void,
): Promise<void> {
  const over = new AbortController()
  const term = await openTerm({ ...options, term: number, signal: over.signal })
  try {
    for (const [at, sql] of statementsOf(number).entries()) {
      const queryId = `00000000-0000-4000-8000-0000000000${number}${at}`
      const { state } = await term.client.submit({ queryId, attempt: 1, sql, session: SESSION })
      // The table is made before the next asks for it; a query would wait for a worker.
      const waitMs = at === 0 ? MADE_WITHIN_MS : 0
      const status = await term.client.wait({ queryId, state, attempt: 1, worker: null, waitMs })
      onStatement(sql, status?.state ?? 'unknown')
    }
    await term.drain()
  } finally {
    over.abort()
    await term.close()
  }
}
