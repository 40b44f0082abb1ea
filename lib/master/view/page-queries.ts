/**
 * What pages ask of the cluster rather than of this master: the catalog, workers, SQL, the end of a query, and the list of
 * queries where only the active knows it. It goes
 * through the ordinary client, which finds the active master, be it this one or another, and lives through a failover.
 * The client is loaded when the first page needs it.
 */
import {
  ADMINISTRATOR_TOKEN_MS,
  administrator,
  type Caller,
  makeToken,
  Seals,
} from '../../access/index.ts'
import type { Clock } from '../../base/time.ts'
import type { QueryResult, TajoClient, TajoClientOptions } from '../../client/index.ts'
import type { WorkerRow } from '../../contract/index.ts'
import { RpcError } from '../../rpc/index.ts'
import type {
  QueryRow,
  SqlLine,
  SqlOut,
  SqlRequest,
  TablesDocument,
  TablesFilter,
} from '../../web/view.ts'

interface PageQueriesOptions {
  /** This master's own addresses: it names the active one. Null before it has joined. */
  readonly ownAddresses: () => { readonly clientRpc: string; readonly catalog: string } | null
  /** Null before it has joined. */
  readonly clusterId: () => string | null
  /** PEM: nobody else is shown the tokens that are made here. Null before it has joined. */
  readonly authority: () => string | null
  /** Null before it has joined. */
  readonly secret: () => string | null
  readonly wallMs: () => number
  readonly clock: Clock
}

/** A page shows at once that there is no active master; it asks again by itself. */
const QUICK = { maxNum: 4, pauseTimeMs: 250, nobodyMs: 1000 }
/** What the list of queries shows as the user of a page. */
const USER = 'web'
/** A page is for people: more rows, or longer ones, are for tsql. */
const MOST_BYTES = 16 * 1024 * 1024

/** Each has connections of its own. */
const MOST_CLIENTS = 16

type Client = typeof import('../../client/index.ts')

export class PageQueries {
  readonly #options: PageQueriesOptions
  /** For each who asks; the one that was made first goes first. */
  readonly #quick = new Map<string, TajoClient>()
  #closed = false

  constructor(options: PageQueriesOptions) {
    this.#options = options
  }

  databases(who: Caller | null): Promise<string[]> {
    return this.#ask(who, (client) => client.databases())
  }

  tables(
    database: string,
    filter: TablesFilter,
    who: Caller | null,
  ): Promise<Omit<TablesDocument, 'database'>> {
    return this.#ask(who, (client) => client.tablesAmong(database, filter))
  }

  workers(): Promise<WorkerRow[]> {
    return this.#ask(null, (client) => client.workers())
  }

  queries(limit: number): Promise<QueryRow[]> {
    return this.#ask(null, (client) => client.queries(limit))
  }

  kill(queryId: string, who: Caller | null): Promise<boolean> {
    return this.#ask(who, (client) => client.kill(queryId))
  }

  async run(request: SqlRequest, who: Caller | null, { signal, out }: Course): Promise<void> {
    const lib = await import('../../client/index.ts')
    const { database, variables } = request
    const client = this.#make(lib, who, { session: { database, variables, user: USER } })
    try {
      await runOn(client, request, { signal, out })
    } catch (error) {
      const line = errorLine(error, lib)
      // Whoever went away needs no answer.
      if (!signal.aborted && line !== null) out.say(line)
      else if (line === null) throw error
    } finally {
      await client.close()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const all = [...this.#quick.values()]
    this.#quick.clear()
    await Promise.all(all.map((client) => client.close()))
  }

  async #ask<T>(who: Caller | null, work: (client: TajoClient) => Promise<T>): Promise<T> {
    const lib = await import('../../client/index.ts')
    if (this.#closed) throw new RpcError('UNAVAILABLE', 'this master is stopping')
    const quick = await this.#quickOf(lib, who)
    try {
      return await work(quick)
    } catch (error) {
      if (error instanceof lib.NoMasterError) {
        throw new RpcError('UNAVAILABLE', error.message, { cause: error })
      }
      if (error instanceof lib.QueryError && error.kind === 'refused') {
        throw new RpcError('BAD_REQUEST', error.message, { cause: error })
      }
      if (error instanceof lib.ClosedError) {
        throw new RpcError('UNAVAILABLE', 'this master is stopping', { cause: error })
      }
      throw error
    }
  }

  async #quickOf(lib: Client, who: Caller | null): Promise<TajoClient> {
    const key = JSON.stringify(who === null ? null : [who.principal, who.mark])
    const known = this.#quick.get(key)
    if (known !== undefined) return known
    const made = this.#make(lib, who, { retry: QUICK })
    this.#quick.set(key, made)
    const [oldest] = this.#quick
    if (this.#quick.size > MOST_CLIENTS && oldest !== undefined) {
      this.#quick.delete(oldest[0])
      await oldest[1].close()
    }
    return made
  }

  /** It asks as whoever asks here; what this master wants to know itself it asks as an administrator. */
  #tokenOf(who: Caller | null): string {
    const { secret, wallMs } = this.#options
    const caller = who ?? { principal: administrator(USER), mark: null }
    const endMs = wallMs() + ADMINISTRATOR_TOKEN_MS
    return makeToken(new Seals(secret() ?? ''), { ...caller, endMs })
  }

  #make(
    { AuthoritiesInMemory, TajoClient, knownCluster }: Client,
    who: Caller | null,
    more: Partial<TajoClientOptions>,
  ): TajoClient {
    const { clock, ownAddresses, clusterId } = this.#options
    const own = ownAddresses()
    const id = clusterId()
    if (own === null || id === null) {
      throw new RpcError('UNAVAILABLE', 'this master has not joined its cluster yet')
    }
    const masters = [{ client: own.clientRpc, catalog: own.catalog }]
    const token = (): string => this.#tokenOf(who)
    const authority = this.#options.authority()
    const authorities = new AuthoritiesInMemory(authority === null ? {} : { [id]: authority })
    const cluster = knownCluster(id)
    return new TajoClient({ masters, clock, cluster, authorities, token, ...more })
  }
}

interface Course {
  readonly signal: AbortSignal
  readonly out: SqlOut
}

async function runOn(
  client: TajoClient,
  { sql, maxRows }: SqlRequest,
  { signal, out }: Course,
): Promise<void> {
  let named = false
  const name = (queryId: string): void => {
    if (!named) out.say({ queryId })
    named = true
  }
  const result = await client.query(sql, {
    signal,
    onProgress: ({ queryId, state, progress, worker }) => {
      name(queryId)
      out.say({ progress: { state, progress, worker } })
    },
  })
  name(result.queryId)
  const { rows, truncated } = await passRows(result, maxRows, out)
  const { database, variables } = client.session
  const message = result.message
  out.say({ end: { rows, truncated, message, session: { database, variables } } })
}

/** What is over the limits is not read: that ends the query. */
async function passRows(
  result: QueryResult,
  maxRows: number,
  out: SqlOut,
): Promise<{ rows: number; truncated: boolean }> {
  if (result.columns.length > 0)
    out.say({ columns: result.columns.map((column) => ({ ...column })) })
  let rows = 0
  let bytes = 0
  for await (const batch of result.rows()) {
    const wanted = batch.slice(0, maxRows - rows)
    for (const few of slices(wanted)) {
      const line = { rows: few.map((row) => [...row]) }
      bytes += JSON.stringify(line).length
      if (bytes > MOST_BYTES) return { rows, truncated: true }
      if (!(await out.rows(line))) return { rows, truncated: true }
      rows += few.length
    }
    if (wanted.length < batch.length) return { rows, truncated: true }
  }
  return { rows, truncated: false }
}

const ROWS_A_LINE = 200

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += ROWS_A_LINE) yield all.slice(at, at + ROWS_A_LINE)
}

/** Null: none of the statement's doing. */
function errorLine(
  error: unknown,
  { QueryError, NoMasterError, ClosedError }: Client,
): SqlLine | null {
  if (error instanceof QueryError) {
    const { message, place, kind } = error
    return { error: { message, place: place === null ? null : { ...place }, kind } }
  }
  if (error instanceof NoMasterError || error instanceof ClosedError) {
    return { error: { message: error.message, place: null, kind: 'lost' } }
  }
  return null
}
