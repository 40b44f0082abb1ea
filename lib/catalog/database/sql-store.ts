/**
 * A catalog kept in a database, whichever: each append is one transaction that locks the row with the term, finds its
 * own term and opening there, writes rows, counts itself, and commits. A take-over locks the same row to raise the term:
 * so an append of a lower term was either committed before, and is read, or finds the higher term and is rolled back.
 *
 * One connection belongs to the opening and is used for all its appends. Once it is given up nothing more is sent on
 * it, and what the server may still have of it is shut out by `opening`, also under the same term. A predecessor that
 * was frozen in the middle of its transaction would hold the row for good: after a third of a second its session, whose
 * name stands in the row, is ended by the server.
 *
 * A server keeps its own files, but people drop tables, and bring older states back. So a take-over finds no lower term in
 * the row than the newest that the election's history knows to have served with this very store, and no tables missing:
 * else they would look like a first start, or like an older catalog that is good. Under the active they are noticed at the
 * next change, and once in a monitor interval without one; then all that is in memory is written anew.
 *
 * A backup follows the catalog in its memory (`follow`), by what each transaction leaves of its changes beside the tables;
 * an opening reads no more than what it doesn't know yet, or all where what is known is of another history
 * (sql-changes.ts).
 *
 * Terms fence the masters of one cluster only, so the row names the cluster as well: bound at the first opening, and
 * refused to every other one (binding.ts).
 */

import { messageOf } from '../../base/failures.ts'
import { pause, waitingClock } from '../../base/time.ts'
import { Draft } from '../apply.ts'
import { type Binding, requireOurs, UNBOUND } from '../binding.ts'
import { CatalogError, type CatalogErrorCode } from '../errors.ts'
import { type Begun, type Served, servedNote } from '../shared/begun.ts'
import { FileError } from '../shared/files.ts'
import type { Memory } from '../shared/memory.ts'
import { CatalogState, EMPTY } from '../state.ts'
import type { Batch, Kept, Opened, Origin, ReadableStore } from '../store.ts'
import {
  catchUp,
  forgetBeyond,
  keepChange,
  type MarkedPlace,
  newMark,
  type Place,
  placeIn,
} from './sql-changes.ts'
import type { Dialect, SqlConnection, SqlRow, SqlServer, SqlSession } from './sql-connection.ts'
import { SqlFailure } from './sql-connection.ts'
import { writeDelta } from './sql-delta.ts'
import { KnownRows } from './sql-known.ts'
import { isThere, migrate } from './sql-migrations.ts'
import { type ReadCatalog, readCatalog } from './sql-read.ts'

/** What the election's history says of the terms up to one with the store of that name. Rejects with FileError. */
export type ServedBy = (upTo: number, store: string) => Promise<Served>

export interface SqlStoreOptions {
  readonly server: SqlServer
  /** Left out: there is no history. */
  readonly served?: ServedBy
  /** The terms of a cluster that it is taken from count for nothing. Left out: it is anybody's. */
  readonly binding?: Binding
  /** What the process knows of it from one store to the next. Left out: nothing, and there is no `follow`. */
  readonly memory?: Memory
  /** The wall clock, for people who read the tables. */
  readonly now?: () => Date
}

/** What makes a server's tables the catalog of a cluster. */
export type SqlKeeping = Pick<SqlStoreOptions, 'served' | 'binding' | 'memory'>

/** What an open store holds. */
interface Held {
  readonly connection: SqlConnection
  readonly dialect: Dialect
  readonly term: number
  readonly opening: number
  readonly known: KnownRows
}

/**
 * A backup that follows reads everything anew now and then: rows that somebody has changed by hand leave no mark. It spends
 * one part in so many of its time on that.
 */
const REREAD_SHARE = 200
const REREAD_MIN_MS = 600_000

const LOCK_POLL_MS = 20
/** For so many polls a take-over waits for the row before it ends the session that holds it. */
const LOCK_POLLS = 15
/** A row that is locked for longer is somebody's whom nobody can end. */
const LOCK_POLLS_MAX = 150

/** Whatever columns there are: an earlier version's row has no cluster. */
const READ_ROW = 'SELECT * FROM catalog_term WHERE id = 1'

export class SqlStore implements ReadableStore {
  readonly #server: SqlServer
  readonly #served: ServedBy | undefined
  readonly #binding: Binding
  readonly #now: () => Date
  readonly #memory: Memory | null
  readonly follow?: () => Promise<void>
  #held: Held | null = null
  /** What is known from the last opening, or from following, for the next one. */
  #known: KnownRows | null = null
  /** By which a backup looks. */
  #watch: SqlSession | null = null
  /** When to read everything anew, by the monotonic clock. */
  #rereadMs = 0

  constructor(options: SqlStoreOptions) {
    this.#server = options.server
    this.#served = options.served
    this.#binding = options.binding ?? UNBOUND
    this.#now = options.now ?? (() => new Date())
    this.#memory = options.memory ?? null
    if (this.#memory !== null) {
      const memory = this.#memory
      this.follow = () => this.#follow(memory)
    }
  }

  async open(term: number, signal: AbortSignal): Promise<Opened> {
    this.#giveUp()
    this.#known = this.#memory?.rows ?? this.#known
    this.#memory?.handOver()
    try {
      return await this.#open(term, signal, await this.#begun(term))
    } catch (error) {
      if (signal.aborted) {
        const text = `term ${term} ended while its catalog was opened`
        throw new CatalogError('NOT_ACTIVE', text, { cause: error })
      }
      throw this.#errorOf(error, `open it for term ${term}`)
    }
  }

  /** `begun`: what must be there. */
  async #open(term: number, signal: AbortSignal, begun: Begun | null): Promise<Opened> {
    const session = await this.#server.connect({ mayCreate: begun === null })
    if (session === null) {
      if (begun !== null) throw this.#lost('its database is gone', begun)
      throw this.#error('BAD_STORE', 'it could not be made', undefined)
    }
    const { connection, dialect } = session
    const cut = () => connection.destroy()
    signal.addEventListener('abort', cut, { once: true })
    try {
      signal.throwIfAborted()
      if (begun !== null) await this.#requireTables(session, begun)
      await migrate(this.#server, connection, dialect, this.#now().toISOString())
      const { opening, seq, place } = await this.#takeOver({ connection, dialect, term, begun })
      const known = await this.#knownAt(session, place)
      signal.throwIfAborted()
      this.#held = { connection, dialect, term, opening, known }
      return { state: known.state, seq }
    } catch (error) {
      connection.destroy()
      throw error
    } finally {
      signal.removeEventListener('abort', cut)
    }
  }

  /** What is known, brought up to that place; where that leads nowhere, all that is there. */
  async #knownAt({ connection, dialect }: SqlSession, place: MarkedPlace): Promise<KnownRows> {
    const known = this.#known
    if (known !== null && (await catchUp(connection, known, place))) return known
    this.#known = null
    return knownOf(await readAll(connection, dialect))
  }

  async append(batch: Batch): Promise<void> {
    const held = this.#held
    if (held === null) throw this.#error('UNAVAILABLE', 'it is not open', undefined)
    const { connection, dialect, known } = held
    const { nextTableId } = batch.delta
    let noteRows: () => void
    let place: MarkedPlace
    try {
      await connection.query(dialect.begin)
      const row = await readRow(connection, dialect.forUpdate)
      this.#check(row, held, batch)
      const written = await writeDelta(connection, batch.delta, known.numbers)
      noteRows = written.note
      const kept = batch.firstSeq + batch.transactions.length - 1
      const change = { pieces: written.changes, nextTableId }
      place = await keepIn(held, { before: row.place, row: { ...row, kept } }, change)
      await connection.query(
        'UPDATE catalog_term SET kept = ?, next_table_id = ?, change_no = ?, mark = ? WHERE id = 1',
        [kept, nextTableId, place.no, place.mark],
      )
    } catch (error) {
      const code = codeOf(error)
      // Not committed, but who knows whether the connection is good for a ROLLBACK: the end of it is one too.
      if (code === 'UNAVAILABLE' || !(await rolledBack(connection))) {
        this.#giveUp()
        throw this.#error('UNAVAILABLE', messageOf(error), error)
      }
      throw this.#goneOr(error, 'write a change')
    }
    try {
      await connection.query('COMMIT')
    } catch (error) {
      // Whatever was said: it may be kept.
      this.#giveUp()
      throw this.#error('UNAVAILABLE', `no answer to COMMIT: ${messageOf(error)}`, error)
    }
    // Given up meanwhile, what it knew has gone to others.
    if (this.#held !== held) return
    noteRows()
    known.became(batch.after, place)
  }

  /** Brings the memory up to what is there now. One query where nothing has changed. */
  async #follow(memory: Memory): Promise<void> {
    const { openings } = memory
    const isOurs = (): boolean => memory.openings === openings
    try {
      this.#watch ??= await this.#server.connect({ mayCreate: false })
      if (this.#watch === null) return
      const { connection } = this.#watch
      const { no, mark } = (await readRow(connection, '')).place
      // Nobody could go on from there: the next term leaves a mark.
      if (mark === null) return
      const { rows } = memory
      if (rows !== null && performance.now() < this.#rereadMs) {
        if (await catchUp(connection, rows, { no, mark }, isOurs)) return
        memory.rows = null
      }
      await this.#readAnew(memory, this.#watch, isOurs)
    } catch (error) {
      this.#watch?.connection.destroy()
      this.#watch = null
      // No term has made them yet.
      if (!isMissing(error)) throw this.#errorOf(error, 'follow it')
    }
  }

  async #readAnew(memory: Memory, session: SqlSession, isOurs: () => boolean): Promise<void> {
    const beganMs = performance.now()
    const known = await knownOf(await readAll(session.connection, session.dialect))
    const endMs = performance.now()
    this.#rereadMs = endMs + Math.max(REREAD_MIN_MS, REREAD_SHARE * (endMs - beganMs))
    // A term that was opened meanwhile knows more.
    if (isOurs()) memory.rows = known
  }

  async readOnly(): Promise<Kept> {
    const session = await this.#server.connect({ mayCreate: false })
    if (session === null) return { data: EMPTY, term: 0 }
    const { connection, dialect } = session
    try {
      if (!(await isThere(this.#server, connection, dialect))) return { data: EMPTY, term: 0 }
      const { data, term } = await readAll(connection, dialect)
      return { data, term }
    } catch (error) {
      throw this.#errorOf(error, 'read it')
    } finally {
      connection.destroy()
    }
  }

  /** The server's own files need no look; whether the tables are there is asked beside the term's own connection. */
  async prove(what: 'appended' | 'everything'): Promise<void> {
    const held = this.#held
    if (what === 'appended' || held === null) return
    const session = await this.#server.connect({ mayCreate: false })
    if (session === null) throw this.#error('GONE', 'its database is gone', undefined)
    const { connection } = session
    try {
      const row = await readRow(connection, '')
      connection.release()
      if (row.term < held.term) throw this.#broughtBack(row, held)
    } catch (error) {
      connection.destroy()
      throw this.#goneOr(error, 'look at it')
    }
  }

  async replace(term: number, state: CatalogState): Promise<string> {
    this.#giveUp()
    try {
      const { state: kept, seq } = await this.#open(term, new AbortController().signal, null)
      const draft = Draft.of(kept)
      const changes = [{ do: 'load', data: state.toData() } as const]
      const atMs = this.#now().getTime()
      const one = { by: 'the catalog written anew', atMs, changes, outcome: null }
      draft.apply(one)
      const { state: after, delta } = draft.seal()
      await this.append({ firstSeq: seq + 1, transactions: [one], delta, after })
    } catch (error) {
      throw this.#errorOf(error, `write it anew for term ${term}`)
    }
    return this.note()
  }

  async newestTerm(): Promise<number> {
    return (await this.readOnly()).term
  }

  async origin(): Promise<Origin> {
    const session = await this.#server.connect({ mayCreate: false })
    if (session === null) return NOBODYS
    const { connection, dialect } = session
    try {
      if (!(await isThere(this.#server, connection, dialect))) return NOBODYS
      const { term, clusterId } = await readRow(connection, '')
      return { term, clusterId }
    } catch (error) {
      throw this.#errorOf(error, 'ask whose it is')
    } finally {
      connection.destroy()
    }
  }

  note(): string {
    return servedNote(this.#server.name)
  }

  async close(): Promise<void> {
    this.#giveUp()
    this.#watch?.connection.destroy()
    this.#watch = null
    if (this.#memory !== null) this.#memory.rows ??= this.#known
    this.#known = null
    await this.#server.close()
  }

  #giveUp(): void {
    if (this.#held === null) return
    this.#held.connection.destroy()
    this.#known = this.#held.known
    this.#held = null
  }

  /** Raises the term in one transaction that holds the row. */
  async #takeOver(to: SqlSession & { readonly term: number; readonly begun: Begun | null }) {
    const { connection, dialect, term, begun } = to
    const row = await this.#lockRow(connection, dialect, term)
    try {
      this.#refuseHigher(row, term)
    } catch (error) {
      await connection.query('ROLLBACK')
      throw error
    }
    if (begun !== null && row.term < begun.term) {
      await connection.query('ROLLBACK')
      throw this.#lost(`it is of term ${row.term}: an older state was brought back`, begun)
    }
    const opening = row.opening + 1
    // Taken up again under the same term, it goes on counting.
    const seq = row.term === term ? row.kept : 0
    const change = { pieces: ['[]'], nextTableId: row.nextTableId }
    const after = { term, opening, kept: seq }
    await forgetBeyond(connection, row.place)
    const place = await keepIn(to, { before: row.place, row: after }, change)
    await connection.query(
      'UPDATE catalog_term SET term = ?, opening = ?, kept = ?, session = ?, opened_at = ?, change_no = ?, mark = ? WHERE id = 1',
      [term, opening, seq, connection.session, this.#now().toISOString(), place.no, place.mark],
    )
    const { clusterId, rebinds } = this.#binding
    if (row.clusterId === null || rebinds === true) {
      await connection.query('UPDATE catalog_term SET cluster_id = ? WHERE id = 1', [clusterId])
    }
    await connection.query('COMMIT')
    return { opening, seq, place }
  }

  async #lockRow(connection: SqlConnection, dialect: Dialect, term: number): Promise<TermRow> {
    let opening: number | null = null
    for (let poll = 1; ; poll++) {
      await connection.query(dialect.begin)
      try {
        return await readRow(connection, dialect.forUpdateNow)
      } catch (error) {
        if (!(error instanceof SqlFailure) || error.kind !== 'locked') throw error
        await connection.query('ROLLBACK')
        if (poll >= LOCK_POLLS_MAX) {
          throw new CatalogError(
            'UNAVAILABLE',
            `another session keeps the row in catalog_term locked, in ${this.#server.name}`,
            { cause: error },
          )
        }
      }
      if ((poll - 1) % LOCK_POLLS === 0) {
        const row = await readRow(connection, '')
        this.#refuseHigher(row, term)
        // Where others take over meanwhile, it is one of them that holds the lock, and each of them has its own time.
        if (row.opening === opening && row.session !== '') {
          await dialect.endSession(connection, row.session)
        }
        opening = row.opening
      }
      await pause(waitingClock, LOCK_POLL_MS)
    }
  }

  #check(row: TermRow, held: Held, batch: Batch): void {
    if (row.term < held.term) throw this.#broughtBack(row, held)
    if (row.term !== held.term || row.opening !== held.opening) {
      throw this.#stale(row.term, held.term)
    }
    if (row.place.mark !== null && row.place.mark !== held.known.mark) {
      const text = 'catalog_term is of another history: somebody has brought another state back'
      throw this.#error('GONE', text, undefined)
    }
    if (row.kept !== batch.firstSeq - 1) {
      throw this.#error(
        'GONE',
        `catalog_term says that ${row.kept} transactions of term ${held.term} are kept, and number ${batch.firstSeq} comes next: somebody has changed its row, or brought another state back`,
        undefined,
      )
    }
  }

  #refuseHigher(row: TermRow, term: number): void {
    const { clusterId, rebinds } = this.#binding
    if (rebinds === true && row.clusterId !== clusterId) return
    requireOurs(this.#server.name, row.clusterId, clusterId)
    if (row.term > term) throw this.#stale(row.term, term)
  }

  #stale(theirs: number, ours: number): CatalogError {
    const text =
      theirs === ours
        ? `term ${ours} was opened once more by another process`
        : `term ${theirs} has it, ours is ${ours}`
    return this.#error('STALE_TERM', text, undefined)
  }

  async #begun(term: number): Promise<Begun | null> {
    return (await this.#served?.(term, this.#server.name))?.begun ?? null
  }

  /** Whether they are there can't be seen by everybody: who is refused by them is not told that they are gone. */
  async #requireTables({ connection, dialect }: SqlSession, begun: Begun): Promise<void> {
    if (await isThere(this.#server, connection, dialect)) return
    try {
      await connection.query('SELECT MAX(version) AS version FROM catalog_schema')
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    throw this.#lost('its tables are gone', begun)
  }

  /** With the way back, for the log, the status and the page. */
  #lost(what: string, { by }: Begun): CatalogError {
    const back =
      "Bring back the newest backup of the database; when what it holds is what is to be gone on with, stop all masters, run 'tajo catalog dump FILE' and 'tajo catalog load FILE --force', and start them"
    return this.#error('CORRUPT', `${what}, and ${by}. ${back}`, undefined)
  }

  #broughtBack(row: TermRow, held: Held): CatalogError {
    const text = `it is of term ${row.term}, ours is ${held.term}: somebody has brought an older state back`
    return this.#error('GONE', text, undefined)
  }

  /** Of a statement that finds no table, or not the row that was left, of a store that is open: it was somebody's hand. */
  #goneOr(error: unknown, doing: string): CatalogError {
    if (error instanceof CatalogError && error.code === 'CORRUPT') {
      return this.#error('GONE', error.message, error)
    }
    if (!isMissing(error)) return this.#errorOf(error, doing)
    return this.#error('GONE', `somebody has removed its tables: ${messageOf(error)}`, error)
  }

  #errorOf(error: unknown, doing: string): CatalogError {
    if (error instanceof CatalogError) return error
    if (error instanceof FileError) return this.#error('UNAVAILABLE', error.message, error)
    if (!(error instanceof SqlFailure)) throw error
    return this.#error(codeOf(error), `can't ${doing}: ${error.message}`, error)
  }

  #error(code: CatalogErrorCode, text: string, cause: unknown): CatalogError {
    return new CatalogError(code, `catalog in ${this.#server.name}: ${text}`, { cause })
  }
}

interface TermRow {
  readonly term: number
  readonly opening: number
  readonly kept: number
  readonly nextTableId: number
  readonly session: string
  readonly clusterId: string | null
  readonly place: Place
}

const NOBODYS: Origin = { clusterId: null, term: 0 }

async function readRow(connection: SqlConnection, lock: string): Promise<TermRow> {
  const rows: SqlRow[] = await connection.query(READ_ROW + lock)
  const [row] = rows
  if (row === undefined) {
    throw new CatalogError('CORRUPT', 'catalog_term has lost its row: somebody has removed it')
  }
  const counted = {
    term: Number(row.term),
    opening: Number(row.opening),
    kept: Number(row.kept),
  }
  return {
    ...counted,
    place: placeIn(row, counted),
    nextTableId: Number(row.next_table_id),
    session: String(row.session),
    clusterId: typeof row.cluster_id === 'string' ? row.cluster_id : null,
  }
}

async function readAll(connection: SqlConnection, dialect: Dialect) {
  for (const statement of dialect.beginSnapshot) await connection.query(statement)
  const { term, place } = await readRow(connection, '')
  const read = await readCatalog(connection)
  await connection.query('COMMIT')
  return { ...read, place, term }
}

async function knownOf({ data, numbers, place }: ReadCatalog & { place: Place }) {
  const state = await CatalogState.inSlices(data)
  return new KnownRows(state, numbers, { no: place.no, mark: place.mark ?? UNMARKED })
}

/** As of no mark: nothing follows it. */
const UNMARKED = 'none'

/** What changes is kept for those who follow, where there may be any. */
async function keepIn(
  { connection, dialect }: SqlSession,
  at: Parameters<typeof keepChange>[1],
  change: Parameters<typeof keepChange>[2],
): Promise<MarkedPlace> {
  if (dialect.isFollowed) return await keepChange(connection, at, change)
  return { no: at.before.no, mark: newMark(at.row) }
}

async function rolledBack(connection: SqlConnection): Promise<boolean> {
  try {
    await connection.query('ROLLBACK')
    return true
  } catch {
    return false
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof SqlFailure && error.kind === 'missing'

function codeOf(error: unknown): CatalogErrorCode {
  if (error instanceof CatalogError) return error.code
  if (!(error instanceof SqlFailure)) return 'BAD_STORE'
  switch (error.kind) {
    case 'full':
      return 'FULL'
    case 'refused':
    case 'missing':
      return 'BAD_STORE'
    case 'locked':
    case 'lost':
      return 'UNAVAILABLE'
  }
}
