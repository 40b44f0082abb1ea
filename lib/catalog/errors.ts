/** The closed list of what can go wrong with the catalog. */
export type CatalogErrorCode =
  /** It exists already. */
  | 'EXISTS'
  /** No such database, table, column or partition. */
  | 'MISSING'
  /** The change does not fit what the catalog holds now: a database that isn't empty, a schema that changed meanwhile. */
  | 'CONFLICT'
  /** What it was made from has changed meanwhile: made anew from what is there now it may fit. */
  | 'CHANGED'
  /** Another process has the store open, and only one may (DerbyStore). */
  | 'IN_USE'
  /** A higher term has the store. */
  | 'STALE_TERM'
  /** The storage or database does not answer now; it may have done what was asked. */
  | 'UNAVAILABLE'
  /** No space left. */
  | 'FULL'
  /** What is kept can't be read back. */
  | 'CORRUPT'
  /** What was written is not under its name any more: nobody would ever read it. */
  | 'GONE'
  /** It is no store of ours, or the configuration of it is wrong. */
  | 'BAD_STORE'
  /** The term ended while it was being done: it may have been done. Ask the next active master. */
  | 'NOT_ACTIVE'

export class CatalogError extends Error {
  readonly code: CatalogErrorCode
  constructor(code: CatalogErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'CatalogError'
    this.code = code
  }
}

export const exists = (what: string): CatalogError =>
  new CatalogError('EXISTS', `${what} exists already`)
export const missing = (what: string): CatalogError =>
  new CatalogError('MISSING', `${what} does not exist`)
export const conflict = (message: string): CatalogError => new CatalogError('CONFLICT', message)

export const notActive = (cause?: unknown): CatalogError =>
  new CatalogError('NOT_ACTIVE', 'this master is not the active one, or not any more', { cause })

export const isCode = (error: unknown, code: CatalogError['code']): error is CatalogError =>
  error instanceof CatalogError && error.code === code
