/**
 * The row that says who may write: each append locks it and finds its own term and opening there, and a take-over locks it to
 * raise the term. So an append of a lower term was either committed before, and is read, or finds the higher term.
 *
 * A predecessor that was frozen in the middle of its transaction would hold the row for good: after a third of a second its
 * session, whose name stands in the row, is ended by the server.
 *
 * Terms fence the masters of one cluster only, so the row names the cluster as well: bound at the first opening, and
 * refused to every other one (binding.ts).
 */
import { pause, waitingClock } from '../../base/time.ts'
import { type Binding, requireOurs } from '../binding.ts'
import { CatalogError } from '../errors.ts'
import type { Begun } from '../shared/begun.ts'
import type { Batch } from '../store.ts'
import { forgetBeyond, keepChange, type Place, placeIn } from './sql-changes.ts'
import type { SqlErrors } from './sql-connection.ts'
import {
  type Dialect,
  type SqlConnection,
  SqlFailure,
  type SqlRow,
  type SqlSession,
} from './sql-connection.ts'

const LOCK_POLL_MS = 20
/** For so many looks a take-over waits for the row before it ends the session that holds it. */
const LOCK_POLLS = 15
/** A row that is locked for longer is somebody's whom nobody can end. */
const LOCK_POLLS_MAX = 150

/** Whatever columns there are: an earlier version's row has no cluster. */
const READ_ROW = 'SELECT * FROM catalog_term WHERE id = 1'

interface TermRow {
  readonly term: number
  readonly opening: number
  readonly kept: number
  readonly nextTableId: number
  readonly session: string
  readonly clusterId: string | null
  readonly place: Place
}

/** What an open store goes by. */
export interface Holding {
  readonly term: number
  readonly opening: number
  readonly known: { readonly mark: string }
}

/** `lock`: the end of the SELECT. */
export async function readRow(connection: SqlConnection, lock: string): Promise<TermRow> {
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

export class SqlTerm {
  /** The server's. */
  readonly #name: string
  readonly #errors: SqlErrors
  readonly #binding: Binding
  readonly #now: () => Date

  constructor(name: string, errors: SqlErrors, binding: Binding, now: () => Date) {
    this.#name = name
    this.#errors = errors
    this.#binding = binding
    this.#now = now
  }

  /** Raises the term in one transaction that holds the row. */
  async takeOver(to: SqlSession & { readonly term: number; readonly begun: Begun | null }) {
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
      throw this.#errors.lost(`it is of term ${row.term}: an older state was brought back`, begun)
    }
    const opening = row.opening + 1
    // Taken up again under the same term, it goes on counting.
    const seq = row.term === term ? row.kept : 0
    const change = { pieces: ['[]'], nextTableId: row.nextTableId }
    const after = { term, opening, kept: seq }
    await forgetBeyond(connection, row.place)
    const place = await keepChange(to, { before: row.place, row: after }, change)
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
        if (!SqlFailure.is(error, 'locked')) throw error
        await connection.query('ROLLBACK')
        if (poll >= LOCK_POLLS_MAX) {
          throw new CatalogError(
            'UNAVAILABLE',
            `another session keeps the row in catalog_term locked, in ${this.#name}`,
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

  /** Throws where this opening has the row no more, or somebody has changed it. */
  check(row: TermRow, held: Holding, batch: Batch): void {
    if (row.term < held.term) throw this.#errors.broughtBack(row, held)
    if (row.term !== held.term || row.opening !== held.opening) {
      throw this.#errors.stale(row.term, held.term)
    }
    if (row.place.mark !== null && row.place.mark !== held.known.mark) {
      const text = 'catalog_term is of another history: somebody has brought another state back'
      throw this.#errors.error('GONE', text, undefined)
    }
    if (row.kept !== batch.firstSeq - 1) {
      throw this.#errors.error(
        'GONE',
        `catalog_term says that ${row.kept} transactions of term ${held.term} are kept, and number ${batch.firstSeq} comes next: somebody has changed its row, or brought another state back`,
        undefined,
      )
    }
  }

  #refuseHigher(row: TermRow, term: number): void {
    const { clusterId, rebinds } = this.#binding
    if (rebinds === true && row.clusterId !== clusterId) return
    requireOurs(this.#name, row.clusterId, clusterId)
    if (row.term > term) throw this.#errors.stale(row.term, term)
  }
}
