/** What a user's row says of his privileges: a JSON array, which somebody's hand in the database may have changed. */
import { type Grant, PRIVILEGES } from '../model.ts'
import type { SqlRow } from './sql-connection.ts'
import { corrupt, text } from './sql-rows.ts'

/** Throws CatalogError CORRUPT. */
export function grantsIn(row: SqlRow): Grant[] {
  const kept = text(row, 'grants')
  try {
    const grants: unknown = JSON.parse(kept)
    if (Array.isArray(grants) && grants.every(isGrant)) return grants
  } catch {
    // Said below, as for JSON of another shape.
  }
  throw corrupt(`grants is no JSON array of privileges: ${kept}`)
}

function isGrant(value: unknown): value is Grant {
  if (typeof value !== 'object' || value === null) return false
  const grant = value as Readonly<Record<string, unknown>>
  if (grant.on === 'location') return typeof grant.path === 'string'
  if (!PRIVILEGES.some((one) => one === grant.privilege)) return false
  if (grant.on === 'database') return typeof grant.database === 'string'
  return grant.on === 'table' && Number.isSafeInteger(grant.tableId)
}
