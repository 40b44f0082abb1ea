/**
 * The closed list of what can go wrong with the catalog: what each code means, and the SQLSTATE that comes nearest
 * (PostgreSQL's list). docs/errors.md is made from it.
 */
import { CodedError, type ErrorList } from '../base/coded-error.ts'

export const CATALOG_ERRORS = {
  EXISTS: { sqlState: '42710', means: 'It exists already.' },
  MISSING: { sqlState: '42704', means: 'There is no such database, table, column or partition.' },
  CONFLICT: {
    sqlState: '55000',
    means:
      "The change does not fit what the catalog holds now: a database that isn't empty, or a schema that changed meanwhile.",
  },
  CHANGED: {
    sqlState: '40001',
    means:
      'What the change was made from has changed meanwhile. Made anew from what is there now it may fit.',
  },
  IN_USE: {
    sqlState: '55006',
    means: 'Another process has the store open, and only one may (DerbyStore).',
  },
  STALE_TERM: { sqlState: '57P01', means: 'A higher term has the store.' },
  UNAVAILABLE: {
    sqlState: '58030',
    means: 'The storage or the database does not answer now. It may have done what was asked.',
  },
  FULL: { sqlState: '53100', means: 'No space is left.' },
  CORRUPT: { sqlState: 'XX001', means: "What is kept can't be read back." },
  GONE: {
    sqlState: '58P01',
    means: 'What was written is not under its name any more: nobody would ever read it.',
  },
  BAD_STORE: {
    sqlState: 'F0000',
    means: 'It is no store of ours, or the configuration of it is wrong.',
  },
  NOT_ACTIVE: {
    sqlState: '57P03',
    means:
      'The term ended while it was being done: it may have been done. Ask the next active master.',
  },
} as const satisfies ErrorList

export type CatalogErrorCode = keyof typeof CATALOG_ERRORS

export class CatalogError extends CodedError<CatalogErrorCode> {
  override readonly name = 'CatalogError'
}

export const exists = (what: string): CatalogError =>
  new CatalogError('EXISTS', `${what} exists already`)
export const missing = (what: string): CatalogError =>
  new CatalogError('MISSING', `${what} does not exist`)
export const conflict = (message: string): CatalogError => new CatalogError('CONFLICT', message)

/** The term is over: nobody may be told anything. */
export const isTermOver = (thrown: unknown): thrown is CatalogError =>
  CatalogError.is(thrown, 'NOT_ACTIVE', 'STALE_TERM')

export const notActive = (cause?: unknown): CatalogError =>
  new CatalogError('NOT_ACTIVE', 'this master is not the active one, or not any more', { cause })
