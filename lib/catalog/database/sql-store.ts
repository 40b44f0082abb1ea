/**
 * A catalog kept in a database, whichever: each append is one transaction that locks the row with the term, finds its
 * own term and opening there, writes rows, counts itself, and commits. A take-over locks the same row to raise the term:
 * so an append of a lower term was either committed before, and is read, or finds the higher term and is rolled back.
 *
 * One connection belongs to the opening and is used for all its appends. Once it is given up nothing more is sent on
 * it, and what the server may still have of it is shut out by `opening`, also under the same term (sql-term.ts).
 *
 * A server keeps its own files, but people drop tables, and bring older states back. So a take-over finds no lower term in
 * the row than the newest that the election's history knows to have served with this very store, and no tables missing:
 * else they would look like a first start, or like an older catalog that is good. Under the active they are noticed at the
 * next change, and once in a monitor interval without one; then all that is in memory is written anew.
 *
 * A backup follows the catalog in its memory (`follow`), by what each transaction leaves of its changes beside the tables;
 * an opening reads no more than what it doesn't know yet, or all where what is known is of another history
 * (sql-changes.ts).
 */
import { messageOf } from '../../base/failures.ts'
import { Draft } from '../apply.ts'
import { type Binding, UNBOUND } from '../binding.ts'
import { CatalogError } from '../errors.ts'
import { type Begun, type Served, servedNote } from '../shared/begun.ts'
import type { Memory } from '../shared/memory.ts'
import { CatalogState, EMPTY } from '../state.ts'
import type { Batch, Kept, Opened, Origin, ReadableStore } from '../store.ts'
import { catchUp, keepChange, type MarkedPlace, type Place } from './sql-changes.ts'
import type { Dialect, SqlConnection, SqlServer, SqlSession } from './sql-connection.ts'
import { codeOf, isMissing, SqlErrors } from './sql-connection.ts'
import { writeDelta } from './sql-delta.ts'
import { KnownRows } from './sql-known.ts'
import { isThere, migrate } from './sql-migrations.ts'
import { type ReadCatalog, readCatalog } from './sql-read.ts'
import { type Holding, readRow, SqlTerm } from './sql-term.ts'

/** What the election's history says of the terms up to one with the store of that name. Rejects with FileError. */
export type ServedBy = (upTo: number, store: string) => Promise<Served>

interface SqlStoreOptions {
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
interface Held extends SqlSession, Holding {
  readonly known: KnownRows
}

/**
 * A backup that follows reads everything anew now and then: rows that somebody has changed by hand leave no mark. It spends
 * one part in so many of its time on that.
 */
const REREAD_SHARE = 200
const REREAD_MIN_MS = 600_000

export class SqlStore implements ReadableStore {
  readonly #server: SqlServer
  readonly #served: ServedBy | undefined
  readonly #errors: SqlErrors
  readonly #term: SqlTerm
  readonly #now: () => Date
  readonly #memory: Memory | null
  readonly follow?: () => Promise<void>
  #held: Held | null = null
  /** What is known from the last opening, or from following, for the next one. */
  #known: KnownRows | null = null
  /** The session by which a backup looks. */
  #watch: SqlSession | null = null
  /** When to read everything anew, by the monotonic clock. */
  #rereadMs = 0

  constructor(options: SqlStoreOptions) {
    this.#server = options.server
    this.#served = options.served
    this.#now = options.now ?? (() => new Date())
    const { name } = options.server
    this.#errors = new SqlErrors(name)
    this.#term = new SqlTerm(name, this.#errors, options.binding ?? UNBOUND, this.#now)
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
      throw this.#errors.of(error, `open it for term ${term}`)
    }
  }

  /** `begun`: what must be there. */
  async #open(term: number, signal: AbortSignal, begun: Begun | null): Promise<Opened> {
    const session = await this.#server.connect({ mayCreate: begun === null })
    if (session === null) {
      if (begun !== null) throw this.#errors.lost('its database is gone', begun)
      throw this.#errors.error('BAD_STORE', 'it could not be made', undefined)
    }
    const { connection, dialect } = session
    const cut = () => connection.destroy()
    signal.addEventListener('abort', cut, { once: true })
    try {
      signal.throwIfAborted()
      if (begun !== null) await this.#requireTables(session, begun)
      await migrate(this.#server, connection, dialect, this.#now().toISOString())
      const { opening, seq, place } = await this.#term.takeOver({
        connection,
        dialect,
        term,
        begun,
      })
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
    if (held === null) throw this.#errors.error('UNAVAILABLE', 'it is not open', undefined)
    const { connection, dialect, known } = held
    const { nextTableId } = batch.delta
    let noteRows: () => void
    let place: MarkedPlace
    try {
      await connection.query(dialect.begin)
      const row = await readRow(connection, dialect.forUpdate)
      this.#term.check(row, held, batch)
      const written = await writeDelta(connection, batch.delta, known.numbers)
      noteRows = written.note
      const kept = batch.firstSeq + batch.transactions.length - 1
      const change = { pieces: written.changes, nextTableId }
      place = await keepChange(held, { before: row.place, row: { ...row, kept } }, change)
      await connection.query(
        'UPDATE catalog_term SET kept = ?, next_table_id = ?, change_no = ?, mark = ? WHERE id = 1',
        [kept, nextTableId, place.no, place.mark],
      )
    } catch (error) {
      const code = codeOf(error)
      // Not committed, but who knows whether the connection is good for a ROLLBACK: the end of it is one too.
      if (code === 'UNAVAILABLE' || !(await rolledBack(connection))) {
        this.#giveUp()
        throw this.#errors.error('UNAVAILABLE', messageOf(error), error)
      }
      throw this.#errors.goneOr(error, 'write a change')
    }
    try {
      await connection.query('COMMIT')
    } catch (error) {
      // Whatever was said: it may be kept.
      this.#giveUp()
      throw this.#errors.error('UNAVAILABLE', `no answer to COMMIT: ${messageOf(error)}`, error)
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
      if (!isMissing(error)) throw this.#errors.of(error, 'follow it')
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
      throw this.#errors.of(error, 'read it')
    } finally {
      connection.destroy()
    }
  }

  /** The server's own files need no look; whether the tables are there is asked beside the term's own connection. */
  async prove(what: 'appended' | 'everything'): Promise<void> {
    const held = this.#held
    if (what === 'appended' || held === null) return
    const session = await this.#server.connect({ mayCreate: false })
    if (session === null) throw this.#errors.error('GONE', 'its database is gone', undefined)
    const { connection } = session
    try {
      const row = await readRow(connection, '')
      connection.release()
      if (row.term < held.term) throw this.#errors.broughtBack(row, held)
    } catch (error) {
      connection.destroy()
      throw this.#errors.goneOr(error, 'look at it')
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
      throw this.#errors.of(error, `write it anew for term ${term}`)
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
      throw this.#errors.of(error, 'ask whose it is')
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
    throw this.#errors.lost('its tables are gone', begun)
  }
}

const NOBODYS: Origin = { clusterId: null, term: 0 }

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

/** It stands where there is no mark: nothing follows it. */
const UNMARKED = 'none'

async function rolledBack(connection: SqlConnection): Promise<boolean> {
  try {
    await connection.query('ROLLBACK')
    return true
  } catch {
    return false
  }
}
