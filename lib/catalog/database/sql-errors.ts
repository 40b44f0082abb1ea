/**
 * What goes wrong with a catalog in a database is said in the catalog's own words: with the name of the server, and with the
 * way back where people have to do something. The kinds of failure that a statement knows become the codes that a master
 * decides by.
 */
import { messageOf } from '../../base/failures.ts'
import { CatalogError, type CatalogErrorCode } from '../errors.ts'
import type { Begun } from '../shared/begun.ts'
import { FileError } from '../shared/files.ts'
import { SqlFailure } from './sql-connection.ts'

interface Termed {
  readonly term: number
}

export class SqlErrors {
  readonly #name: string

  /** `name`: the server's. */
  constructor(name: string) {
    this.#name = name
  }

  stale(theirs: number, ours: number): CatalogError {
    const text =
      theirs === ours
        ? `term ${ours} was opened once more by another process`
        : `term ${theirs} has it, ours is ${ours}`
    return this.error('STALE_TERM', text, undefined)
  }

  /** With the way back, for the log, the status and the page. */
  lost(what: string, { by }: Begun): CatalogError {
    const back =
      "Bring back the newest backup of the database; when what it holds is what is to be gone on with, stop all masters, run 'tajo catalog dump FILE' and 'tajo catalog load FILE --force', and start them"
    return this.error('CORRUPT', `${what}, and ${by}. ${back}`, undefined)
  }

  broughtBack(row: Termed, held: Termed): CatalogError {
    const text = `it is of term ${row.term}, ours is ${held.term}: somebody has brought an older state back`
    return this.error('GONE', text, undefined)
  }

  /** Of a statement that finds no table, or not the row that was left, of a store that is open: it was somebody's hand. */
  goneOr(error: unknown, doing: string): CatalogError {
    if (error instanceof CatalogError && error.code === 'CORRUPT') {
      return this.error('GONE', error.message, error)
    }
    if (!isMissing(error)) return this.of(error, doing)
    return this.error('GONE', `somebody has removed its tables: ${messageOf(error)}`, error)
  }

  of(error: unknown, doing: string): CatalogError {
    if (error instanceof CatalogError) return error
    if (error instanceof FileError) return this.error('UNAVAILABLE', error.message, error)
    if (!(error instanceof SqlFailure)) throw error
    return this.error(codeOf(error), `can't ${doing}: ${error.message}`, error)
  }

  error(code: CatalogErrorCode, text: string, cause: unknown): CatalogError {
    return new CatalogError(code, `catalog in ${this.#name}: ${text}`, { cause })
  }
}

/** A table that the statement names is not there. */
export const isMissing = (error: unknown): boolean =>
  error instanceof SqlFailure && error.kind === 'missing'

export function codeOf(error: unknown): CatalogErrorCode {
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
