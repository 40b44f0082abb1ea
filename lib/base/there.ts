/**
 * Whether a file that was written is still there. What was written is proven by its name alone, and somebody may have
 * removed that.
 */
import { open } from 'node:fs/promises'

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
