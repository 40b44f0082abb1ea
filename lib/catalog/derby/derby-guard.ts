/**
 * The Derby guard: at most one process has an embedded catalog open. Where the holder can't be looked at, the engine's own
 * file lock decides, which the kernel takes away from the dead.
 */
import { join } from 'node:path'
import {
  GuardError,
  type Guarded,
  type GuardWorld,
  type ProcessGuard,
  realWorld,
  requireUnheld,
  takeGuard,
} from '../../daemon/index.ts'
import { CatalogError } from '../errors.ts'
import { type DerbyAddress, parseDerby } from './derby-uri.ts'
import { isFree } from './embedded-duckdb.ts'

/** `directory` is the catalog's. */
const derbyGuard = (directory: string): Guarded => ({
  path: join(directory, 'tajo-catalog.guard'),
  what: 'this catalog',
  usedBy: 'this catalog is in use by',
  instead:
    'The embedded catalog (DerbyStore) is for one master only. For several, set tajo.catalog.store.class to SharedStore, PostgreSQLStore or MariaDBStore',
})

/** Its directory is there. Rejects CatalogError IN_USE naming the holder, UNAVAILABLE when it can't be written. */
export const takeDerbyGuard = (
  { directory, file }: DerbyAddress,
  holder: string,
): Promise<ProcessGuard> =>
  takeGuard(derbyGuard(directory), holder, worldOf(file)).catch(asCatalogError)

/** Rejects CatalogError IN_USE when another process has that catalog open, BAD_STORE for an URI that is none. */
export async function requireFreeDerby(uri: string): Promise<void> {
  const { directory, file } = parseDerby(uri)
  await requireUnheld(derbyGuard(directory), worldOf(file)).catch(asCatalogError)
}

const worldOf = (file: string): GuardWorld => realWorld(() => isFree(file))

function asCatalogError(error: unknown): never {
  if (!(error instanceof GuardError)) throw error
  const code = error.code === 'HELD' ? 'IN_USE' : 'UNAVAILABLE'
  throw new CatalogError(code, error.message, { cause: error })
}
