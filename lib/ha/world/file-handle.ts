/**
 * What every user of files on a shared mount needs: close whatever happens, fsync where there is one, name the error.
 *
 * A directory's names, and ENOENT only where that is true now: NFS remembers for up to a minute that a name was not there,
 * and a backup has asked for what the first active makes before it was made. To read the directory above asks the server,
 * and what that one shows is asked for anew.
 *
 * Does mkdir -p in a bounded number of calls. Node's own (`recursive: true`) never ends where an existing directory
 * answers a mkdir in it with ENOENT, as /proc does.
 *
 * Making a file that can be made in one call and filled in a later one: on a full disk the create succeeds and the text
 * finds no room. The file is ours then, and nobody else fills it, so the next try writes the same text from its start.
 */
import type { FileHandle } from 'node:fs/promises'
import { constants as os } from 'node:os'

/** Gives what `use` resolves to, and closes the file in any case; of two failures the first one is thrown. */
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

/**
 * Does the fsync of an open directory. Some file systems know none for directories; there it is as durable as it gets, and nothing is
 * thrown. Rejects with the system's error.
 */
export async function syncIfKnown(directory: FileHandle): Promise<void> {
  try {
    await directory.sync()
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EBADF', 'EISDIR', 'ENOSYS'].includes(errnoOf(error))) throw error
  }
}

/** What Node calls an error that it has no name for: EDQUOT and ESTALE are such. Its number is right. */
const NAMELESS = /^(Unknown system error -\d+|UNKNOWN)/

/** The system's name of an error, such as `EIO` or `EDQUOT`, also where Node has none; `errno …` where nobody has one. */
export function errnoOf(error: unknown): string {
  const { code, errno } = error as NodeJS.ErrnoException
  if (code !== undefined && !NAMELESS.test(code)) return code
  const known = Object.entries(os.errno).find(([, number]) => number === -(errno ?? 0))
  return known?.[0] ?? `errno ${errno ?? 'unknown'}`
}

const WORDS: Readonly<Record<string, string>> = {
  EDQUOT: 'disk quota exceeded',
  ESTALE: 'stale file handle',
}

/** What the system says of an error, its name first, also where Node knows neither ("Unknown system error -122: …"). */
export function systemWords(error: unknown): string {
  const errno = errnoOf(error)
  const message = error instanceof Error ? error.message : String(error)
  const named = message.replace(
    /^(Unknown system error -\d+|UNKNOWN)(: (Unknown system error -\d+|unknown error))*/,
    `${errno}: ${WORDS[errno] ?? 'unknown error'}`,
  )
  return named.startsWith(errno) ? named : `${errno}: ${named}`
}
