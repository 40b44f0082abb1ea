/**
 * The store that the configuration names. What a store needs is loaded only when it is the one: a cluster with its
 * catalog in the shared directory loads no database client.
 */

import { dirname, join } from 'node:path'
import type { Log } from '../base/log.ts'
import { systemClock } from '../base/time.ts'
import { type Binding, UNBOUND } from './binding.ts'
import { SQL_TIMEOUTS } from './database/sql-connection.ts'
import type { SqlKeeping } from './database/sql-store.ts'
import type { EmbeddedOptions, EmbeddedStore } from './derby/embedded-store.ts'
import { CatalogError } from './errors.ts'
import { sharedDirectory } from './own-prefix.ts'
import { readServed } from './shared/begun.ts'
import { leavingSpoilt, openFiles, SpoiltFiles } from './shared/files.ts'
import type { Memory } from './shared/memory.ts'
import { SharedStore } from './shared/shared-store.ts'
import type { ReadableStore } from './store.ts'
import { MemStore } from './store.ts'

const STORE_CLASSES = [
  'SharedStore',
  'DerbyStore',
  'PostgreSQLStore',
  'MariaDBStore',
  'MySQLStore',
  'MemStore',
] as const

interface StoreOptions {
  /** `tajo.catalog.store.class`, without its package. */
  readonly class: string
  /** `tajo.catalog.uri`; SharedStore and MemStore need none. */
  readonly uri: string
  readonly user: string
  readonly password: string
  /** `tajo.rootdir`: SharedStore keeps the catalog in `system/catalog` there, and the history beside it tells all stores. */
  readonly rootDirectory: string
  /** How this process is known to its users, for others who find DerbyStore in use: a master's address. */
  readonly holder?: string
  /** A master's: it has made `system` in its rootdir, so where that is missing the mount is gone, and it is not made. */
  readonly ofMaster?: boolean
  readonly binding: Binding
  /** What this process knows of the catalog from one store to the next, where the class can go on from it. */
  readonly memory?: Memory
  readonly log: Log
}

/** Each term has a store of its own, and all of the process's know what none of them may ask for. */
const spoilt = new SpoiltFiles(systemClock)

/** The one below `tajo.rootdir`, with what the election's history there says. */
export function sharedStore(
  rootDirectory: string,
  log: Log,
  more: Partial<Pick<StoreOptions, 'binding' | 'ofMaster' | 'memory'>> = {},
): SharedStore {
  const { binding = UNBOUND, ofMaster = false, memory } = more
  const directory = sharedDirectory(rootDirectory)
  return new SharedStore({
    directory,
    ...(memory === undefined ? {} : { memory }),
    files: leavingSpoilt(openFiles(directory, ofMaster ? dirname(directory) : '/'), spoilt),
    served: (upTo) => readServed(haDirectoryOf(rootDirectory), upTo),
    binding,
    log,
  })
}

const haDirectoryOf = (rootDirectory: string): string => join(rootDirectory, 'system', 'ha')

/** DerbyStore, whatever the configuration names. Opens nothing yet. Rejects CatalogError BAD_STORE when the URI is none. */
export async function embeddedStore(options: EmbeddedOptions): Promise<EmbeddedStore> {
  const { EmbeddedStore } = await import('./derby/embedded-store.ts')
  return new EmbeddedStore(options)
}

/** Rejects CatalogError IN_USE when another process has that DerbyStore open, BAD_STORE for an URI that is none. */
export async function requireFreeDerby(uri: string): Promise<void> {
  const files = await import('./derby/embedded-files.ts')
  await files.requireFreeDerby(uri)
}

/** Opens nothing yet. Rejects CatalogError BAD_STORE for an unknown class or a URI that isn't one of its. */
export async function openCatalogStore(options: StoreOptions): Promise<ReadableStore> {
  const { uri, user, password, holder, ofMaster = false, log, rootDirectory, binding } = options
  const known = options.memory === undefined ? {} : { memory: options.memory }
  const served: SqlKeeping['served'] = (upTo, store) =>
    readServed(haDirectoryOf(rootDirectory), upTo, store)
  const keeping = { served, binding }
  const followed = { ...keeping, ...known }
  switch (options.class) {
    case 'SharedStore':
      return sharedStore(rootDirectory, log, { binding, ofMaster, ...known })
    case 'MemStore':
      return new MemStore()
    case 'DerbyStore': {
      const whose = holder === undefined ? {} : { holder }
      const made = ofMaster ? { systemDirectory: join(rootDirectory, 'system') } : {}
      return embeddedStore({ uri, keeping, ...made, ...whose })
    }
    case 'PostgreSQLStore': {
      const { PostgresStore } = await import('./database/postgres-store.ts')
      return new PostgresStore({ uri, user, password }, SQL_TIMEOUTS, followed)
    }
    case 'MariaDBStore':
    case 'MySQLStore': {
      const { MariadbStore } = await import('./database/mariadb-store.ts')
      return new MariadbStore({ uri, user, password }, SQL_TIMEOUTS, followed)
    }
    default: {
      const known = STORE_CLASSES.join(', ')
      const text = `there is no catalog store '${options.class}' (tajo.catalog.store.class); allowed are ${known}`
      throw new CatalogError('BAD_STORE', text)
    }
  }
}
