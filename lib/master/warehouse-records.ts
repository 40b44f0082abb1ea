/**
 * Which warehouse a cluster has: each term leaves in `system/proof` the name of the file that it has made there, with the
 * warehouse's path. A warehouse of that path in which none of these files lies is another directory: nothing is mounted
 * there, or something else.
 */
import { join } from 'node:path/posix'
import { ROOT_PROOF, WAREHOUSE_PROOF } from '../catalog/index.ts'
import { NonceFiles } from '../ha/index.ts'

const PREFIX = 'warehouse-'

export const recordOf = (nonce: string): string => `${PREFIX}${nonce}`

/** Nonces that terms have made in the warehouse of this path. Rejects with DiskError. */
export async function knownNonces(root: NonceFiles, warehouse: string): Promise<string[]> {
  const found: string[] = []
  for (const name of (await root.list()) ?? []) {
    if (!name.startsWith(PREFIX)) continue
    if ((await root.read(name)) === warehouse) found.push(name.slice(PREFIX.length))
  }
  return found
}

/** A file that should be in the warehouse, and is not there; null: it is the cluster's, or nobody can tell. Rejects with DiskError. */
export async function missingFrom(
  systemDirectory: string,
  warehouse: string,
): Promise<string | null> {
  const root = new NonceFiles(systemDirectory, ROOT_PROOF)
  const tables = new NonceFiles(warehouse, WAREHOUSE_PROOF)
  // A new term removes those of the one before.
  for (let again = true; ; again = false) {
    const known = await knownNonces(root, warehouse)
    const here = (await tables.list()) ?? []
    const [first] = known
    if (first === undefined || known.some((nonce) => here.includes(nonce))) return null
    if (!again) return join(warehouse, WAREHOUSE_PROOF, first)
  }
}
