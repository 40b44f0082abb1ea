/**
 * The newest term of which the shared directory holds a catalog: numbers of terms never go back, so it tells when the HA
 * directory beside it, which counts them, was removed.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { termsOf } from '../catalog/shared-read.ts'

/** 0 where there is none. Rejects with the file system's error. */
export async function newestCatalogTerm(rootDirectory: string): Promise<number> {
  try {
    const names = await readdir(join(rootDirectory, 'system', 'catalog'))
    return termsOf(names)[0] ?? 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
}
