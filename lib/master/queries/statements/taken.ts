/**
 * INSERT OVERWRITE INTO LOCATION takes a directory's place as a whole, so it may not be one in which a table keeps
 * files by name: those would be missing from then on. An external table that is nothing but what stands in its directory
 * is not hurt; it has the new files. Asked when the query is planned, and again in the transaction that decides it. Pure.
 */
import type { Table } from '../../../catalog/model.ts'
import { absolutePath, type CatalogState } from '../../../catalog/state.ts'
import { spell } from './names.ts'
import { isInside, overlap } from './paths.ts'

/** Why the directory may not be replaced; null when it may. */
export function whyTaken(state: CatalogState, path: string): string | null {
  const table = state.findTable((one) => keepsFilesAt(one, path))
  if (table === null) return null
  const name = spell(table)
  return `'${path}' belongs to table ${name}: write INSERT OVERWRITE INTO ${name}, or name another directory`
}

function keepsFilesAt(table: Table, path: string): boolean {
  const { kind, location, wholeDirectory, files } = table
  const keeps = kind === 'managed' || !wholeDirectory || files.length > 0
  if (keeps && overlap(path, location)) return true
  // The others are below its location, which is elsewhere.
  if (files.outside === 0) return false
  for (const file of files) if (isInside(absolutePath(table, file.path), path)) return true
  return false
}
