/**
 * A take-over that nobody waits for, in a directory of its own on this host, which is removed again. V8 compiles a function
 * when it is called for the first time, and an opening and its first statements run through many hundreds that no backup
 * ever calls: a sixth of a take-over with a small catalog was their compiling. A backup has called most of them before.
 *
 * Two terms, since the second one begins with a reference to the first. Of the cluster they touch nothing: the catalog, the
 * query log and the tables are below the directory, no worker knows of them, and what they would tell is told to nobody.
 *
 * What is slow when it is used for the first time is used once before anybody waits for it: a backup that becomes the
 * active is asked for statements within milliseconds, and by workers and clients at once.
 */

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { administrator } from '../../../access/index.ts'
import { inSlices } from '../../../base/slices.ts'
import { sharedStore } from '../../../catalog/index.ts'
import { prepared, services } from '../../../contract/index.ts'
import { isGone } from '../../../ha/index.ts'
import { parseStatement } from '../../../sql/index.ts'
import type { QueryOptions } from '../options.ts'
import { QueryHistory } from '../run/query-history.ts'
import { openTerm, type TermOptions } from '../term.ts'

export async function warmUp(): Promise<void> {
  await inSlices(STATEMENTS, parseStatement)
  for (const name of SERVICES) await inSlices(prepared(services[name]))
}

/** Of an active master: what it is asked, and what it asks workers. */
const SERVICES = ['client', 'tracker', 'catalog', 'worker'] as const

/** The grammar is built for the first one; each branch of it is learnt once. */
const STATEMENTS = ['INSERT INTO t (a) VALUES (1)', "SELECT a FROM t WHERE b = 'c'"]

interface RehearsalOptions extends Pick<TermOptions, 'address' | 'clock' | 'wallMs'> {
  readonly queries: QueryOptions
  /** Where the directory is made; absolute. */
  readonly scratch: string
  /** Aborts when a take-over in earnest begins, or the process ends. */
  readonly signal: AbortSignal
}

const TERMS = 2
const PREFIX = 'tajo-rehearsal-'

/** Rejects with the system's error where the directory can't be made or written to. */
export async function rehearse({ scratch, ...options }: RehearsalOptions): Promise<void> {
  // What was not called for some collections would be compiled anew.
  setFlagsFromString('--no-flush-bytecode')
  await removeLeftovers(scratch)
  const root = await mkdtemp(join(scratch, `${PREFIX}${process.pid}-`))
  try {
    for (const name of ['system', 'warehouse']) await mkdir(join(root, name))
    for (let term = 1; term <= TERMS && !options.signal.aborted; term += 1) {
      await serveOnce(root, term, options)
    }
  } finally {
    await remove(root)
  }
}

/** Of processes that were killed in the middle of theirs. */
async function removeLeftovers(scratch: string): Promise<void> {
  for (const name of await readdir(scratch)) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1])
    if (pid > 0 && isGone(pid)) await remove(join(scratch, name))
  }
}

const remove = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 })

async function serveOnce(
  root: string,
  number: number,
  { queries, signal, ...options }: Omit<RehearsalOptions, 'scratch'>,
): Promise<void> {
  const log = (): void => {}
  const { clock, wallMs } = options
  const over = new AbortController()
  const [limit, maxAgeMs] = [queries.historyLimit, queries.historyMaxAgeMs]
  const logDirectory = join(root, 'system', 'queries')
  const history = new QueryHistory({ directory: logDirectory, limit, maxAgeMs, clock, wallMs, log })
  const { logDisk: _cluster, proof, ...own } = queries
  const term = await openTerm({
    ...{ ...own, ...options, history, log },
    ...(proof === undefined ? {} : { proof: { ...proof, aloneOn: async () => null } }),
    term: number,
    signal: AbortSignal.any([over.signal, signal]),
    makeStore: async () => sharedStore(root, log),
    ...{ logDirectory, systemDirectory: join(root, 'system'), warehouse: join(root, 'warehouse') },
    allowedPaths: [],
    onTrouble: log,
    commit: async () => {},
    renewed: async () => {},
    mayServe: () => true,
    onBroken: log,
    onGone: log,
    lowOnSpace: () => null,
    clusterId: () => null,
    secret: () => '',
  })
  const spoken = async (): Promise<void> => {
    for (const sql of statements(number)) {
      const session = { database: 'default', user: 'rehearsal', variables: {} }
      const request = { queryId: randomUUID(), attempt: 1, session, sql }
      await term.client.submit(request, administrator(session.user))
    }
    await term.drain()
  }
  try {
    // Who waits in a term that is over is told when it closes.
    if (!signal.aborted) await Promise.race([once(signal, 'abort'), spoken()])
  } finally {
    over.abort()
    await term.close()
  }
}

/** No worker ever takes the last two. */
const statements = (term: number): readonly string[] => [
  `CREATE TABLE rehearsal_${term} (a INT4, b TEXT)`,
  `SELECT a FROM rehearsal_${term} WHERE b = 'c'`,
  `INSERT INTO rehearsal_${term} VALUES (1, 'c')`,
]
