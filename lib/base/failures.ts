/** What the system says when something fails, read and told in one way: whatever was thrown, a full disk, a file that is gone, a host that is silent. */
import { open } from 'node:fs/promises'

/**
 * Whether a text says that nothing more can be written. Engines and database servers hand the system's own words on, and
 * often nothing else: a quota counts like a full disk, as it does where the error's number is known (`comesOfNoSpace`).
 */
const WORDS = ['No space left on device', 'Disk quota exceeded']

export const saysNoSpace = (text: string): boolean => WORDS.some((words) => text.includes(words))

const GONE = ['ENOENT', 'ENOTDIR']

/**
 * Is a file that was written still under its name, and whole? A file that is open, or was synced, proves nothing about its
 * name: somebody may have removed it meanwhile. By an open, which asks the file server where a plain stat may be answered
 * from memory.
 *
 * Null when it is (`bytes` null: however long, a directory too); else why not, as a sentence. Rejects with the system's
 * error where nobody can tell now.
 */
export async function whyNotThere(path: string, bytes: number | null): Promise<string | null> {
  try {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      if (bytes === null || size === bytes) return null
      return `${path} has ${size} bytes, ${bytes} were written`
    } finally {
      await file.close()
    }
  } catch (error) {
    if (!GONE.includes(String((error as NodeJS.ErrnoException).code))) throw error
    return `${path} is gone: somebody has removed it, or it was written elsewhere`
  }
}

/** The sentence in whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)

/** Why a connection could not be made, in words for people, by the system's name of the error. */
export const WHY_UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused, nothing listens there',
  ENOTFOUND: 'the host name is unknown here',
  EAI_AGAIN: 'the host name could not be resolved',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'it closed the connection',
}
