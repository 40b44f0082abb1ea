/**
 * The catalog's store as the configuration names it, opened by nobody yet.
 *
 * What all masters of a cluster must agree on: where the catalog is. User and password may differ from host to host,
 * and must never reach the shared directory or a message, so they are taken out.
 *
 * Whose the configured catalog is, and how far its terms have gone: numbers of terms never go back, so it tells when the
 * HA directory, which counts them, was removed, and when it is another cluster's.
 */
import { stat } from 'node:fs/promises'
import type { Log } from '../../base/log.ts'
import type { Binding, Memory, Origin, ReadableStore } from '../../catalog/index.ts'
import {
  CatalogError,
  openCatalogStore,
  parseDerby,
  requireFreeDerby,
} from '../../catalog/index.ts'
import type { Configuration } from '../../conf/index.ts'
import type { QueryOptions } from '../../master/index.ts'

type Configured = Pick<QueryOptions, 'makeStore'>

export const NO_ORIGIN: Origin = { clusterId: null, term: 0 }

/** Rejects CatalogError as the store does. */
export async function originOf(store: ReadableStore): Promise<Origin> {
  try {
    return (await store.origin?.()) ?? NO_ORIGIN
  } finally {
    await store.close()
  }
}

/** Of what the catalog has been moved from and to, the one that knows more. */
export const newerOrigin = (configured: Origin, other: Origin): Origin => ({
  clusterId: configured.clusterId ?? other.clusterId,
  term: Math.max(configured.term, other.term),
})

const CREDENTIALS = /^(user|username|password|passwd|pwd)$/i

/** Returns `uri` without user and password, be they before the host or among the parameters. */
export function withoutCredentials(uri: string): string {
  const bare = uri.replace(/(:\/\/)[^/@]*@/, '$1')
  if (bare.startsWith('jdbc:derby:')) return keepParameters(bare, ';', ';')
  return keepParameters(bare, '?', '&')
}

function keepParameters(uri: string, first: string, next: string): string {
  const at = uri.indexOf(first)
  if (at < 0) return uri
  const kept = uri
    .slice(at + 1)
    .split(next)
    .filter((pair) => !CREDENTIALS.test(pair.split('=')[0] ?? ''))
  return kept.length === 0 ? uri.slice(0, at) : `${uri.slice(0, at)}${first}${kept.join(next)}`
}

interface StoreUse {
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
  return openCatalogStore({
    class: conf.get('tajo.catalog.store.class'),
    uri: conf.get('tajo.catalog.uri'),
    user: conf.get('tajo.catalog.connection.id'),
    password: conf.get('tajo.catalog.connection.password'),
    rootDirectory: conf.get('tajo.rootdir'),
    ...use,
  })
}

/**
 * A database that doesn't answer now is asked again when a term opens it, and refuses the term then; the shared directory
 * has to answer.
 */
export async function originIfKnown(
  conf: Configuration,
  { makeStore }: Configured,
  log: Log,
): Promise<Origin> {
  try {
    return await originOf(await makeStore(null))
  } catch (error) {
    const isShared = conf.get('tajo.catalog.store.class') === 'SharedStore'
    if (!(error instanceof CatalogError) || isShared) throw error
    log('warn', `whose the catalog is can't be told yet: ${error.message}`, {
      event: 'catalog-owner-unknown',
    })
    return NO_ORIGIN
  }
}

/** The cluster's id where only a catalog inside of `tajo.rootdir` tells it: that one is surely its own. */
export function idNextTo(conf: Configuration, { clusterId }: Origin): string | null {
  const name = conf.get('tajo.catalog.store.class')
  if (name === 'SharedStore') return clusterId
  if (name !== 'DerbyStore') return null
  const { directory } = parseDerby(conf.get('tajo.catalog.uri'))
  return directory.startsWith(`${conf.get('tajo.rootdir')}/`) ? clusterId : null
}

/** What its next checkpoint takes, about; 0 where it is a database's, or not made yet. */
export async function catalogBytes(conf: Configuration): Promise<number> {
  if (conf.get('tajo.catalog.store.class') !== 'DerbyStore') return 0
  const { file } = parseDerby(conf.get('tajo.catalog.uri'))
  const found = await stat(file).catch(() => null)
  return found?.size ?? 0
}

/** Refuses a catalog in use at once, instead of in every term that this master would claim. */
export async function requireFreeCatalog(conf: Configuration): Promise<void> {
  await requireFreeDerby(conf.get('tajo.catalog.uri'))
}

/** Of the catalog as it is kept; all of it is read, so that damage is told at the start. */
export async function keptIn({ makeStore }: Configured): Promise<Origin> {
  const store = await makeStore(null)
  try {
    const { clusterId } = (await store.origin?.()) ?? NO_ORIGIN
    const { term } = await store.readOnly()
    return { clusterId, term }
  } finally {
    await store.close()
  }
}

/** For people. */
export const catalogName = (conf: Configuration): string =>
  `${conf.get('tajo.catalog.store.class')} ${withoutCredentials(conf.get('tajo.catalog.uri'))}`.trim()
