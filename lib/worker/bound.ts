/**
 * A table that a query names, as its master bound the name when the query was submitted: what to ask the catalog for, and
 * what of its answer is meant. A name that meant nothing then may be a table's that was made since, but not one's that
 * was called otherwise. Pure.
 */
import type { Table } from '../catalog/model.ts'
import type { BoundNames } from '../rpc/contract.ts'
import type { AskedTable } from './catalog-reader.ts'

interface Name {
  readonly database: string
  readonly name: string
}

/** Null: nothing is bound, as in a query that changes nothing. */
export type Names = BoundNames | null

export function askedFor({ database, name }: Name, names: Names): AskedTable {
  const bound = boundTo({ database, name }, names)
  return bound === null ? { database, name } : { database, name, tableId: bound }
}

export function meantBy(use: Name, found: Table | null, names: Names): Table | null {
  if (found === null || names === null) return found
  const bound = boundTo(use, names)
  const isMeant = bound === null ? found.id >= names.nextTableId : found.id === bound
  return isMeant ? found : null
}

/** The id; null: that name meant no table. */
export const boundTo = ({ database, name }: Name, names: Names): number | null =>
  names?.tables.find((one) => one.database === database && one.name === name)?.tableId ?? null
