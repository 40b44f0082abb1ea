/** The catalog's store as the configuration names it, opened by nobody yet. */
import type { Log } from '../../base/log.ts'
import type { Binding } from '../../catalog/binding.ts'
import type { Memory } from '../../catalog/shared/memory.ts'
import type { ReadableStore } from '../../catalog/store.ts'
import type { Configuration } from '../../conf/index.ts'

export interface StoreUse {
  readonly binding: Binding
  /** How this process is known to its users, for others who find DerbyStore in use. */
  readonly holder?: string
  /** A master's: `system` of its rootdir is not made. */
  readonly ofMaster?: boolean
  /** What the process knows of the catalog from one store to the next. */
  readonly memory?: Memory
  readonly log: Log
}

/** What the store needs is loaded now, and not before. Rejects CatalogError BAD_STORE for a URI that isn't one. */
export async function configuredStore(conf: Configuration, use: StoreUse): Promise<ReadableStore> {
  const { openCatalogStore } = await import('../../catalog/open.ts')
  return openCatalogStore({
    class: conf.get('tajo.catalog.store.class'),
    uri: conf.get('tajo.catalog.uri'),
    user: conf.get('tajo.catalog.connection.id'),
    password: conf.get('tajo.catalog.connection.password'),
    rootDirectory: conf.get('tajo.rootdir'),
    ...use,
  })
}
