/** What every user of files on a shared mount needs: close whatever happens, fsync where there is one, name the error. */
import type { FileHandle } from 'node:fs/promises'
import { constants as os } from 'node:os'

/** Closes the file in any case; of two failures the first one is told. */
export async function withFile<T>(file: FileHandle, use: () => Promise<T>): Promise<T> {
  let result: T
  try {
    result = await use()
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
  await file.close()
  return result
}

/** Some file systems have no fsync for directories; there the directory is as durable as it gets. */
export async function syncIfKnown(directory: FileHandle): Promise<void> {
  try {
    await directory.sync()
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR', 'ENOSYS'].includes(errnoOf(error))) throw error
  }
}

/** The system's name of an error. Node has none for some, ESTALE among them ("Unknown system error -116"). */
export function errnoOf(error: unknown): string {
  const { code, errno } = error as NodeJS.ErrnoException
  if (code !== undefined && !code.startsWith('Unknown system error')) return code
  const known = Object.entries(os.errno).find(([, number]) => number === -(errno ?? 0))
  return known?.[0] ?? `errno ${errno ?? 'unknown'}`
}
