/**
 * How the directories are called into which queries write a table's files: what is in them counts only where the catalog
 * lists it, and tells who finds no catalog that there was one.
 */
import { join } from 'node:path'

export const OWN_PREFIX = 'data-'

/**
 * Where processes prove to each other that they have one directory (lib/master/queries/files/proof.ts): in a warehouse, hidden from
 * tables whose directory it is, and in `<rootdir>/system`.
 */
export const WAREHOUSE_PROOF = '.proof'
export const ROOT_PROOF = 'proof'

/** Such names, of files and of directories, belong to no table whose directory they are in. */
export const isHidden = (name: string): boolean => name.startsWith('.') || name.startsWith('_')

/** Where SharedStore keeps the catalog, a subdirectory for each term. `rootDirectory`: `tajo.rootdir`. */
export const sharedDirectory = (rootDirectory: string): string =>
  join(rootDirectory, 'system', 'catalog')
