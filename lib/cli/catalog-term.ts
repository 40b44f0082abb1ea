/**
 * The newest term of which the shared directory holds a catalog: numbers of terms never go back, so it tells when the HA
 * directory beside it, which counts them, was removed.
 *
 * Term 1 alone says little: a dump that was loaded before the first start has it, and so has the catalog of a master
 * without high availability. So masters with it leave a sign beside the catalog when they serve it:
 *
 *     system/catalog/elected     a term of an election has served this catalog
 */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sharedDirectory } from '../catalog/shared-directory.ts'
import { termsOf } from '../catalog/shared-read.ts'

const SIGN = 'elected'

/** 0 where there is none. Rejects with the file system's error. */
export async function newestCatalogTerm(rootDirectory: string): Promise<number> {
  return termsOf(await namesIn(rootDirectory))[0] ?? 0
}

/** The same, of a catalog that masters of an election have served; 0 where that is not known. */
export async function newestElectedTerm(rootDirectory: string): Promise<number> {
  const names = await namesIn(rootDirectory)
  const newest = termsOf(names)[0] ?? 0
  return newest > 1 || names.includes(SIGN) ? newest : 0
}

/** Rejects with the file system's error. */
export async function leaveElectedSign(rootDirectory: string): Promise<void> {
  try {
    const file = await open(join(sharedDirectory(rootDirectory), SIGN), 'wx')
    await file.close()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

async function namesIn(rootDirectory: string): Promise<string[]> {
  try {
    return await readdir(sharedDirectory(rootDirectory))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
