/**
 * Which cluster a `tajo.rootdir` holds. Masters with high availability write its id into cluster.json, and so it stays
 * when high availability is switched off. A single master that was never one of several has a file of its own, and hands
 * its id on when high availability is switched on: clients and load balancers know the cluster by it.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  HaError,
  isDirectory,
  isSecret,
  readClusterId,
  readSecret,
  requireNew,
} from '../../ha/index.ts'
import type { Membership } from '../../serve/index.ts'
import { writeOnce } from './write-once.ts'

export const SINGLE_FILE = 'single-cluster'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Null: no master has formed a cluster in `haDirectory` yet. Rejects where that can't be read. */
export const clusterIdOf = async (haDirectory: string): Promise<string | null> =>
  (await readClusterId(haDirectory)) ?? (await singleIdOf(haDirectory))

/** What a daemon has to know before it may speak in the cluster's name; null and rejects as `clusterIdOf`. */
export async function membershipOf(haDirectory: string): Promise<Membership | null> {
  const clusterId = await clusterIdOf(haDirectory)
  const secret = clusterId === null ? null : await readSecret(haDirectory)
  return clusterId === null || secret === null || !isSecret(secret) ? null : { clusterId, secret }
}

/**
 * For a master without high availability: the id that is there, or one that is made now. `ofCatalog`: the cluster that its
 * catalog belongs to, where that lies in the same `tajo.rootdir`, so that an id whose file was removed is put back.
 */
export async function ownClusterId(
  haDirectory: string,
  ofCatalog: string | null = null,
): Promise<string> {
  const known = await clusterIdOf(haDirectory)
  if (known !== null) return known
  const kept = await requireNew(haDirectory, 'cluster.json')
  await writeOnce(haDirectory, SINGLE_FILE, kept ?? ofCatalog ?? randomUUID())
  const made = await singleIdOf(haDirectory)
  if (made === null) throw new Error(`${join(haDirectory, SINGLE_FILE)} can't be read`)
  return made
}

/** The id of a master that uses, or used, the directory alone; null where there was none. */
export async function singleIdOf(haDirectory: string): Promise<string | null> {
  const path = join(haDirectory, SINGLE_FILE)
  let text: string
  try {
    text = (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    if (!isDirectory(error)) throw error
    text = ''
  }
  if (UUID.test(text)) return text
  throw new HaError(
    'BAD_DIRECTORY',
    `${path} holds no cluster id, so it is torn, foreign or a directory: a master that runs there puts it back; where none does, restore it, or move it away, and the next start takes the id from the catalog, or makes a new one where that names none`,
  )
}
